"""The exact Euclidean distance transform on the CPU: compiled where possible, else by the `edt` package or scipy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lossodyssey import native

Array = npt.NDArray[Any]


def nearest_other(labels: Tensor, spacing: tuple[float, ...], *, wide: bool = False) -> Tensor:
    """Return distances (B, *S) of `labels` (B, *S) to the nearest other label, 0 at label 0 or without any other.

    Float32, or float64 if `wide`, which only scipy can give.
    """
    if not wide and native.serves(labels.numel()) and _fits_a_byte(labels):
        return _by_compiled_code(labels.to(torch.uint8), spacing)
    threads = torch.get_num_threads()
    distances = torch.zeros(labels.shape, dtype=torch.float64 if wide else torch.float32)
    for sample, out in zip(labels.numpy(), distances.numpy(), strict=True):
        _fill_box(out, sample, spacing, None if wide else fast_package(), threads)
    return distances


def _fits_a_byte(labels: Tensor) -> bool:
    if labels.dtype == torch.uint8 or labels.numel() == 0:
        return True
    low, high = torch.aminmax(labels)
    return bool((low >= 0) & (high < 256))


def _by_compiled_code(labels: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Compute the transform by `native/transform.c`, whole maps per thread."""
    labels, distances = labels.contiguous(), torch.empty(labels.shape, dtype=torch.float32)
    # Along an axis of one voxel there are no neighbours.
    axes = [(n, step) for n, step in zip(labels.shape[1:], spacing, strict=True) if n > 1]
    sizes, steps = torch.tensor([n for n, _ in axes]), torch.tensor([step for _, step in axes], dtype=torch.float64)

    def fill(sample: Tensor, out: Tensor) -> None:
        native.call("lo_nearest_other", sample, sizes, steps, len(axes), sample.numel(), out)

    if not axes or not labels.numel():
        return distances.zero_()
    threads = min(torch.get_num_threads(), len(labels))
    with ThreadPoolExecutor(threads) as pool:
        list((pool.map if threads > 1 else map)(fill, labels, distances))
    return distances


@cache
def fast_package() -> Any | None:
    """Return the `edt` package, where it is installed."""
    try:
        import edt
    except ImportError:
        return None
    return edt


def _fill_box(distances: Array, labels: Array, spacing: tuple[float, ...], package: Any | None, threads: int) -> None:
    """Write the distances of one map that is 0 into the box that holds its labels."""
    box = tuple(_extent(labels, axis) for axis in range(labels.ndim))
    crop = np.ascontiguousarray(labels[box])
    if crop.size and not (crop.flat[0] == crop).all():
        fast = package if crop.ndim in (2, 3) else None
        # Nothing outside the box is nearer, see `_extent`.
        distances[box] = fast.edt(crop, anisotropy=spacing, parallel=threads) if fast else _by_scipy(crop, spacing)


def _extent(labels: Array, axis: int) -> slice:
    """Return where the labels other than 0 lie along an axis, and one voxel more on each side.

    Every nearest voxel of another label lies in there.
    """
    others = tuple(k for k in range(labels.ndim) if k != axis)
    found = np.flatnonzero(labels.any(others))
    return slice(max(found[0] - 1, 0), found[-1] + 2) if len(found) else slice(0)


def _by_scipy(labels: Array, spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:
    from scipy import ndimage

    distances = np.zeros(labels.shape)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        wider = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        mask = labels[wider] == label
        distances[wider][mask] = ndimage.distance_transform_edt(mask, spacing)[mask]
    return distances
