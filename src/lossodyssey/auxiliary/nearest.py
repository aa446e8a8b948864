"""The objects that are nearest to each voxel of an image: compiled where possible, else one transform per object."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.distance.transform import euclidean, precision


def two_nearest(objects: Tensor, spacing: Sequence[float], reach: float) -> tuple[Tensor, Tensor]:
    """Return the distances (*S) to the nearest and to the second nearest of the objects 1, 2, ... on the CPU.

    Infinite where there is no such object; an arbitrary number above `reach` where the object lies farther away.
    """
    if native.library() is not None and precision() == torch.float32 and objects.numel() > 1:
        first, second, nearest, following = (
            torch.empty(objects.shape, dtype=kind) for kind in 2 * [torch.float32] + 2 * [torch.int32]
        )
        _compiled("lo_two_nearest_objects", objects, spacing, reach, first, nearest, second, following)
        return first.sqrt_(), second.sqrt_()
    first = torch.full(objects.shape, math.inf, dtype=precision())
    second = first.clone()
    for label, box in _boxes(objects, spacing, reach):
        distance = euclidean((objects[box] != label)[None], spacing)[0]
        nearest, next_nearest = first[box], second[box]
        second[box] = torch.minimum(next_nearest, torch.maximum(nearest, distance))
        first[box] = torch.minimum(nearest, distance)
    return first, second


def nearest(objects: Tensor, spacing: Sequence[float]) -> Tensor:
    """Return the number (*S) of the nearest of the objects 1, 2, ... on the CPU, the lowest of those equally near.

    Int32, 0 where there is no object.
    """
    found = torch.zeros(objects.shape, dtype=torch.int32)
    steps = [step / min(spacing) for step in spacing]  # whole numbers where the voxels are cubes: no rounding
    if native.library() is not None and objects.numel() > 1:
        _compiled("lo_nearest_object", objects, steps, torch.empty(objects.shape, dtype=torch.float32), found)
        return found
    least = torch.full(objects.shape, math.inf, dtype=precision())
    for label in range(1, int(objects.max()) + 1):
        distance = euclidean((objects != label)[None], steps)[0]
        found[distance < least] = label
        least = torch.minimum(least, distance)
    return found


def _compiled(name: str, objects: Tensor, spacing: Sequence[float], *others: float | Tensor) -> None:
    axes = [(n, step) for n, step in zip(objects.shape, spacing, strict=True) if n > 1]
    sizes, steps = torch.tensor([n for n, _ in axes]), torch.tensor([step for _, step in axes], dtype=torch.float64)
    numbers = objects.to(torch.int32).contiguous()
    native.call(name, numbers, sizes, steps, len(axes), objects.numel(), *others)


def _boxes(objects: Tensor, spacing: Sequence[float], reach: float) -> list[tuple[int, tuple[slice, ...]]]:
    """Return each object with the box that holds every voxel within reach of it."""
    from scipy.ndimage import find_objects

    found, more = [], [math.ceil(min(reach / step, n)) for step, n in zip(spacing, objects.shape, strict=True)]
    for label, box in enumerate(find_objects(np.asarray(objects)), start=1):
        wider = (slice(max(side.start - n, 0), side.stop + n) for side, n in zip(box, more, strict=True))
        found.append((label, tuple(wider)))
    return found
