"""The objects that are nearest to each voxel of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lossodyssey.distance.transform import euclidean, precision


def two_nearest(objects: Tensor, spacing: Sequence[float], reach: float = math.inf) -> tuple[Tensor, Tensor]:
    """Return the distances (*S) to the nearest and to the second nearest of the objects 1, 2, ... on the CPU.

    Infinite where there is no such object, and possibly where it lies farther than `reach`.
    """
    first = torch.full(objects.shape, math.inf, dtype=precision())
    second = first.clone()
    for label, box in _boxes(objects, spacing, reach):
        distance = euclidean((objects[box] != label)[None], spacing)[0]
        nearest, next_nearest = first[box], second[box]
        second[box] = torch.minimum(next_nearest, torch.maximum(nearest, distance))
        first[box] = torch.minimum(nearest, distance)
    return first, second


def _boxes(objects: Tensor, spacing: Sequence[float], reach: float) -> list[tuple[int, tuple[slice, ...]]]:
    """Each object with the box that holds every voxel within reach of it."""
    from scipy.ndimage import find_objects

    longest = max(objects.shape)
    more = [longest if reach == math.inf else min(longest, math.ceil(reach / step)) for step in spacing]
    found = []
    for label, box in enumerate(find_objects(np.asarray(objects)), start=1):
        wider = (slice(max(side.start - n, 0), side.stop + n) for side, n in zip(box, more, strict=True))
        found.append((label, tuple(wider)))
    return found
