"""Neighbouring voxels: how much their predictions differ, and where they lie."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

Step = tuple[int, ...]
"""A step to another voxel, along every axis."""


def contrasts(log_p: Tensor, valid: Tensor) -> Tensor:
    """Return KL(p_i, p_j) of every voxel and each face neighbour, (2 D, B, *S), 0 where either does not count."""
    found, p = [], log_p.exp()
    for axis in range(1, valid.ndim):
        length = valid.shape[axis] - 1
        both = valid.narrow(axis, 0, length) & valid.narrow(axis, 1, length)
        for start in (0, 1):
            ours, theirs = (log_p.narrow(axis + 1, k, length) for k in (start, 1 - start))
            divergence = (p.narrow(axis + 1, start, length) * (ours - theirs)).sum(1)
            edge = [0, 0] * (valid.ndim - 1 - axis) + [start, 1 - start]
            found.append(F.pad(torch.where(both, divergence, 0), edge))
    return torch.stack(found)


def steps_around(space: tuple[int, ...]) -> list[Step]:
    """Return the steps to the neighbours across faces, edges and corners, those across faces first."""
    choices = [(-1, 0, 1) if length > 1 else (0,) for length in space]
    steps = [step for step in itertools.product(*choices) if any(step)]
    return sorted(steps, key=lambda step: sum(map(abs, step))) or [(0,) * len(space)]


def neighbours(index: Tensor, steps: list[Step], space: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the flat indices (B, M, steps) of the neighbours of voxels (B, M), and whether they lie in the image.

    Outside the image it is the nearest voxel within.
    """
    place, inside = torch.zeros_like(index)[..., None], torch.ones_like(index, dtype=torch.bool)[..., None]
    stride = 1
    for axis in reversed(range(len(space))):
        moves = torch.tensor([step[axis] for step in steps], device=index.device)
        there = (index // stride % space[axis])[..., None] + moves
        kept = there.clamp(0, space[axis] - 1)
        place, inside = place + kept * stride, inside & (there == kept)
        stride *= space[axis]
    return place, inside


def at(values: Tensor, place: Tensor) -> Tensor:
    """Return values (B, V) at the voxels (B, M, steps)."""
    return values.gather(1, place.flatten(1)).reshape(place.shape)
