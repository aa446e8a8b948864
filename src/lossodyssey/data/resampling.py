"""Images, labels and logits on a grid of other voxel sizes.

Images take splines of third order, logits linear interpolation, and labels the class with the largest share in the
linear interpolation of their masks. As in nnU-Net, slices that lie far apart are not mixed: see `separate_axis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

ANISOTROPY = 3.0  # largest ratio of two spacings up to which all axes are treated alike
TIE = 1e-5  # shares that differ by no more are equal, whatever the rounding of their sums


def resampled_shape(shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]) -> tuple[int, ...]:
    """Return the voxels per axis of the same extent at the spacing `target`."""
    return tuple(max(1, round(n * old / new)) for n, old, new in zip(shape, spacing, target, strict=True))


def separate_axis(spacing: Sequence[float], target: Sequence[float]) -> int | None:
    """Return the axis along which the nearest slice is taken; None where all axes are interpolated.

    It is the one axis of largest spacing where a grid, the old one before the new one, has spacings that differ by more
    than a factor of 3.
    """
    for each in (tuple(spacing), tuple(target)):
        if len(each) == 3 and max(each) > ANISOTROPY * min(each):
            return each.index(max(each)) if each.count(max(each)) == 1 else None
    return None


def resample_image(image: NDArray[np.float32], shape: Sequence[int], axis: int | None = None) -> NDArray[np.float32]:
    """Resample `image` (channels, *S) to `shape` by splines of third order, within each channel's range of values.

    Along `axis` the nearest slice is taken.
    """
    if image.shape[1:] == tuple(shape):
        return image
    if axis is None:
        return np.stack([_cubic(channel, shape) for channel in image])
    plane = tuple(size for number, size in enumerate(shape) if number != axis)
    taken = nearest(image.shape[1 + axis], shape[axis])
    return np.stack([_planes(channel, plane, axis, taken) for channel in image])


def _planes(
    channel: NDArray[np.float32], plane: Sequence[int], axis: int, taken: NDArray[np.int64]
) -> NDArray[np.float32]:
    used, where = np.unique(taken, return_inverse=True)
    slices = np.stack([_cubic(channel.take(number, axis), plane) for number in used], axis)
    return np.take(slices, where, axis)


def _cubic(values: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    from scipy import ndimage

    if values.shape == tuple(shape):
        return values
    zoom = [new / old for new, old in zip(shape, values.shape, strict=True)]
    found: NDArray[np.float32] = ndimage.zoom(values, zoom, order=3, mode="nearest", grid_mode=True)
    # Splines overshoot at edges: beyond the range of the image there is nothing to be seen.
    return np.clip(found, values.min(), values.max())


def nearest(old: int, new: int) -> NDArray[np.int64]:
    """Return the number of the old slice that holds the centre of each new one."""
    return np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)


def resample_labels(
    labels: NDArray[np.integer[Any]], shape: Sequence[int], axis: int | None = None
) -> NDArray[np.integer[Any]]:
    """Resample `labels` (*S) to `shape`: the label with the largest share in a voxel, of equal ones the highest.

    A label whose structures all fall between the new voxels keeps the voxel that is nearest to its middle one: no
    class of a case is lost.
    """
    if labels.shape == tuple(shape):
        return labels
    present = np.unique(labels).tolist()
    largest = torch.zeros(tuple(shape))
    found = torch.full(tuple(shape), present[0], dtype=torch.int64)
    for label in present:
        share = resample_linear(torch.from_numpy(np.float32(labels == label)), shape, axis)
        wins = share >= largest - TIE
        found[wins & (share > 0)] = label
        largest = torch.maximum(largest, share)
    resampled = found.numpy().astype(labels.dtype)
    for label in set(present) - set(np.unique(resampled).tolist()):
        resampled[_middle(labels == label, shape)] = label
    return resampled


def _middle(mask: NDArray[np.bool_], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the new voxel that holds the middle one of a mask's voxels."""
    voxels = np.argwhere(mask)
    place = (voxels[len(voxels) // 2] + 0.5) * np.array(shape) / mask.shape
    return tuple(np.minimum(place.astype(int), np.array(shape) - 1).tolist())


def resample_linear(values: Tensor, shape: Sequence[int], axis: int | None = None) -> Tensor:
    """Resample `values` (*S) to `shape` by linear interpolation; along `axis` the nearest slice is taken."""
    if values.shape == tuple(shape):
        return values
    if axis is None:
        mode = {2: "bilinear", 3: "trilinear"}[values.ndim]
        return interpolate(values[None, None], tuple(shape), mode=mode, align_corners=False)[0, 0]
    plane = tuple(size for number, size in enumerate(shape) if number != axis)
    slices = values.movedim(axis, 0)[:, None]
    if slices.shape[2:] != plane:
        slices = interpolate(slices, plane, mode="bilinear", align_corners=False)
    taken = torch.from_numpy(nearest(values.shape[axis], shape[axis])).to(values.device)
    return slices[taken, 0].movedim(0, axis)
