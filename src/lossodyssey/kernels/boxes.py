"""The box around each voxel, an axis at a time: means over it, what a mask reaches, the place of the largest value."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.kernels import transformed


def box_mean(x: Tensor) -> Tensor:
    """Return the mean over the 3^d box around each voxel of x (N, C, *S), with 0 outside of the image.

    An axis of one voxel has no neighbours, so that a plane is a flat volume.
    """
    if transformed():
        return _mean(x)
    found: Tensor = _BoxMean.apply(x)  # type: ignore[no-untyped-call]
    return found


class _BoxMean(torch.autograd.Function):
    """The mean, which is its own adjoint: it keeps nothing for its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        found = torch.empty_like(x, memory_format=torch.contiguous_format)
        # A volume at a time stays in the processor's cache.
        for volume, mean in zip(x.flatten(0, 1), found.flatten(0, 1), strict=True):
            mean.copy_(_mean(volume[None, None])[0, 0])
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return box_mean(gradient)


def _mean(x: Tensor) -> Tensor:
    axes, found = long_axes(x), x
    for axis in axes:
        n, total = x.shape[axis] - 1, found.clone()
        total.narrow(axis, 1, n).add_(found.narrow(axis, 0, n))
        total.narrow(axis, 0, n).add_(found.narrow(axis, 1, n))
        found = total
    return found / 3.0 ** len(axes)


def reached(masks: Tensor, *, corners: bool, times: int = 1) -> Tensor:
    """Return masks (N, C, *S) with the neighbours of their voxels: across faces, or across edges and corners as well.

    Several `times` reach as many voxels further.
    """
    for _ in range(times):
        found = masks.clone()
        for axis in long_axes(masks):
            # A box is the sum of its axes: with corners each axis starts from what the one before has reached.
            start = found.clone() if corners else masks
            n = masks.shape[axis] - 1
            found.narrow(axis, 1, n).logical_or_(start.narrow(axis, 0, n))
            found.narrow(axis, 0, n).logical_or_(start.narrow(axis, 1, n))
        masks = found
    return masks


def long_axes(x: Tensor) -> list[int]:
    """Return the spatial axes of x (N, C, *S) along which there are neighbours."""
    return [axis for axis in range(2, x.ndim) if x.shape[axis] > 1]


def blurred(layer: Tensor, share: float, *, replicate: bool) -> Tensor:
    """Return the sum over the box of side 3 of (N, C, *S), in which each step along an axis multiplies by `share`.

    Outside the image are the nearest voxels with `replicate`, else zeros. Axes of one voxel are left alone.
    """
    for axis in long_axes(layer):
        length = layer.shape[axis]
        first, last = layer.narrow(axis, 0, 1), layer.narrow(axis, length - 1, 1)
        ends = (first, last) if replicate else (torch.zeros_like(first), torch.zeros_like(last))
        padded = torch.cat([ends[0], layer, ends[1]], axis)
        layer = layer + share * (padded.narrow(axis, 0, length) + padded.narrow(axis, 2, length))
    return layer


@torch.no_grad()
def place_of_largest(layer: Tensor, size: int) -> Tensor:
    """Return the flat index (N, C, V) of the largest value of (N, C, *S) in the box of odd side `size`."""
    axes = layer.ndim - 2
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[axes - 1]
    place = torch.arange(layer.shape[2:].numel(), device=layer.device).expand(*layer.shape[:2], -1)
    for axis in range(axes if layer.numel() else 0):  # pools have no result on a grid without voxels
        sides = [size if other == axis else 1 for other in range(axes)]
        layer, found = pool(layer, sides, 1, [side // 2 for side in sides], return_indices=True)
        place = place.gather(2, found.flatten(2))
    return place
