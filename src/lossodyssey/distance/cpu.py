"""The exact Euclidean distance transform on the CPU: the `edt` package when it is installed, scipy otherwise."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@cache
def fast_package() -> Any | None:
    """The `edt` package, where it is installed."""
    try:
        import edt
    except ImportError:
        return None
    return edt


def nearest_other(labels: Array, spacing: tuple[float, ...], threads: int = 1, *, wide: bool = False) -> Array:
    """Distance of every voxel to the nearest voxel of another label; 0 at label 0 and where there is no other.

    Float32, or float64 if `wide`, which the fast package cannot give.
    """
    distances = np.zeros(labels.shape, np.float64 if wide else np.float32)
    box = tuple(_extent(labels, axis) for axis in range(labels.ndim))
    crop = np.ascontiguousarray(labels[box])
    if crop.size and not (crop.flat[0] == crop).all():
        package = fast_package() if crop.ndim in (2, 3) and not wide else None
        distances[box] = (
            package.edt(crop, anisotropy=spacing, parallel=threads) if package else _by_scipy(crop, spacing)
        )
    return distances


def _extent(labels: Array, axis: int) -> slice:
    """Where the labels other than 0 lie along an axis, and one voxel more: every nearest voxel is in there."""
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
