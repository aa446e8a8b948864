"""The box around each voxel: weighted means over it and the place of the largest value in it, an axis at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blurred(layer: Tensor, share: float, *, replicate: bool) -> Tensor:
    """Return the sum over the box of side 3 of (N, C, *S), in which each step along an axis multiplies by `share`.

    Outside the image are the nearest voxels with `replicate`, else zeros. Axes of one voxel are left alone.
    """
    for axis in range(2, layer.ndim):
        length = layer.shape[axis]
        if length > 1:
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
