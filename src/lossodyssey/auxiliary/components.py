"""The connected components of each class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.distance.fields import masks_of

Connectivity = Literal["full", "faces"]
"""Whether voxels that touch in a corner or edge belong together, or only those that share a face."""


class Components(Auxiliary, name="components"):
    """Numbers (N, C, *S) of each class's connected components: 1, 2, ... in scan order, 0 outside the class.

    Class 0 of labels is background and has none.
    """

    connectivity: Connectivity = "full"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of numbers."""
        return torch.int32

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the numbers of each class."""
        masks = objects_of(truth, classes)
        numbers = [numbered(mask, self.connectivity) for mask in masks.flatten(0, 1)]
        return torch.stack(numbers).reshape(masks.shape).to(truth.device)


def objects_of(truth: Tensor, classes: int) -> Tensor:
    """Return the masks (N, C, *S) of the classes on the CPU, without any voxel for the background of labels."""
    masks = masks_of(truth.cpu(), classes)
    if truth.dtype != torch.bool:
        masks[:, :1] = False
    return masks


def numbered(mask: Tensor, connectivity: Connectivity = "full") -> Tensor:
    """Return the numbers (*S) of a mask's components in scan order, int32, by cc3d where it is installed."""
    array, package = mask.numpy(), fast_package()
    if package is not None and array.ndim in (2, 3):
        neighbours = {("full", 2): 8, ("full", 3): 26, ("faces", 2): 4, ("faces", 3): 6}[connectivity, array.ndim]
        plain = np.ascontiguousarray(array).view(np.uint8)  # cc3d 4.1.1 numbers some zeros of boolean images
        found = package.connected_components(plain, connectivity=neighbours, out_dtype=np.uint32)
        return torch.from_numpy(_in_scan_order(found.astype(np.int32)))
    from scipy.ndimage import generate_binary_structure, label

    found, _ = label(array, generate_binary_structure(array.ndim, array.ndim if connectivity == "full" else 1))
    return torch.from_numpy(_in_scan_order(found.astype(np.int32)))


@cache
def fast_package() -> Any | None:
    """Return connected-components-3d, where it is installed."""
    try:
        import cc3d
    except ImportError:
        return None
    return cc3d


def _in_scan_order(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the components numbered in the order of their first voxels, whatever order they were found in."""
    flat = numbers.ravel()
    where = np.flatnonzero(flat)[::-1]
    first = np.zeros(int(flat.max(initial=0)) + 1, dtype=np.int64)
    first[flat[where]] = where  # the last of several assignments holds: that of the first voxel
    rank = np.zeros_like(first, dtype=np.int32)
    rank[1 + np.argsort(first[1:])] = np.arange(1, len(first))
    return rank[numbers]
