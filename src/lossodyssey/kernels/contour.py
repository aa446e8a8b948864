"""Contours of probabilities, and the dilation that widens them by a tolerance.

An operator of its own finds which voxel decides each maximum, because how far a dilation reaches in voxels depends on
the values of the spacing, which a compiled graph does not know. The values are then taken from these voxels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Shape = Literal["ball", "box"]
"""All voxels within the tolerance; or a box whose half-widths are the tolerance rounded up to whole voxels."""
Offset = tuple[int, ...]
MOST = 4096
"""The most voxels of a ball."""
ROUNDING = 1e-6
"""The part of a voxel by which a tolerance may miss a whole number of voxels, for a spacing in float32."""


def inner_contour(x: Tensor, valid: Tensor) -> Tensor:
    """Return x less its minimum over the 3^d box, (N, C, *S): what an erosion takes off.

    Neither the image's border nor a voxel that does not count makes a contour.
    """
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
    known = torch.where(valid, x, 1)
    return torch.where(valid, known + pool(-known, 3, 1, 1), 0)


def dilated(x: Tensor, spacing: Tensor, tolerance: Tensor, shape: Shape) -> Tensor:
    """Return the maximum of x (N, C, *S) within a `tolerance` (N,), in the units of `spacing` (N, D), of each voxel.

    Raises:
        ValueError: a ball of more than `MOST` voxels.
    """
    places = deciding(x.detach(), torch.cat([spacing, tolerance[:, None]], 1), shape)
    return x.flatten(2).gather(2, places.flatten(2)).reshape(x.shape)


@torch.library.custom_op("lossodyssey::deciding", mutates_args=())
def deciding(x: Tensor, reach: Tensor, shape: str) -> Tensor:
    """Return the index (N, C, *S) of the voxel that has the maximum; `reach` is spacing and tolerance, (N, D + 1)."""
    index = torch.arange(x.shape[2:].numel(), device=x.device)
    places = index.reshape(x.shape[2:]).expand(x.shape).clone(memory_format=torch.contiguous_format)
    # One sample at a time: the search needs a few more volumes of each.
    for n, (*spacing, tolerance) in enumerate(reach.tolist() if x.numel() else []):
        best, where = x[n], places[n]
        for offsets in stages(spacing, tolerance, shape):
            best, where = greatest(best, where, offsets)
        places[n] = where
    return places


@deciding.register_fake
def _(x: Tensor, reach: Tensor, shape: str) -> Tensor:
    return torch.empty_like(x, dtype=torch.int64, memory_format=torch.contiguous_format)


def stages(spacing: Sequence[float], tolerance: float, shape: str) -> list[list[Offset]]:
    """Return the steps to other voxels: all those of a ball, or of a box axis by axis.

    Raises:
        ValueError: a ball of more than `MOST` voxels.
    """
    axes = range(len(spacing))
    if shape == "box":
        widths = [-int(-(tolerance / step - ROUNDING) // 1) for step in spacing]
        return [
            [tuple(k * (axis == a) for a in axes) for k in range(-width, width + 1) if k]
            for axis, width in enumerate(widths)
        ]
    widths = [int(tolerance / step + ROUNDING) for step in spacing]
    box = 1
    for width in widths:
        box *= 2 * width + 1
    if box > 2 * MOST:
        raise ValueError(
            f"a ball of {tolerance:g} at the spacing {tuple(spacing)} has about {box // 2} voxels, expected at most "
            f'{MOST}: choose a smaller tolerance, or shape="box"'
        )
    limit = tolerance**2 * (1 + ROUNDING) ** 2
    inside = [
        (sum((k * step) ** 2 for k, step in zip(offset, spacing, strict=True)), offset)
        for offset in itertools.product(*(range(-width, width + 1) for width in widths))
    ]
    return [[offset for distance, offset in sorted(inside) if 0 < distance <= limit]]


def greatest(x: Tensor, places: Tensor, offsets: Sequence[Offset]) -> tuple[Tensor, Tensor]:
    """Return the greatest of x (C, *S) at each voxel and at the `offsets` from it, and its place.

    The first of equals decides.
    """
    best, where = x.clone(), places.clone()
    for offset in offsets:
        here, there = windows(x.shape[1:], offset)
        if here is None:
            continue
        better = x[there] > best[here]
        best[here] = torch.where(better, x[there], best[here])
        where[here] = torch.where(better, places[there], where[here])
    return best, where


def windows(space: Sequence[int], offset: Offset) -> tuple[Any, Any]:
    """Return the slices of the voxels that have a neighbour at `offset`, and of these neighbours; None without any."""
    if any(abs(step) >= length for step, length in zip(offset, space, strict=True)):
        return None, None
    here = [slice(max(-step, 0), length - max(step, 0)) for step, length in zip(offset, space, strict=True)]
    there = [slice(max(step, 0), length - max(-step, 0)) for step, length in zip(offset, space, strict=True)]
    return (..., *here), (..., *there)
