"""The length of soft contours: the sum of the norms of their differences, with a backward pass that keeps s alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import transformed

LEAST = 1e-8
"""Added to squared differences, because the square root has no gradient at 0."""


def contour_length(s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
    """Return the sum over voxels of s (N, C, *S), each times its weight, of the norm of its differences, (N, C).

    The difference along an axis is that to the next voxel, or to the one before: the mean over all ways to choose,
    which is the mean over the mirror images. It is 0 where either voxel does not count or lies outside.
    """
    if transformed():
        return torch.stack([length_one_way(s, weight, spacing, ahead) for ahead in ways(s)]).mean(0)
    length: Tensor = _Length.apply(s, weight, spacing)  # type: ignore[no-untyped-call]
    return length


class _Length(torch.autograd.Function):
    """Keeps s, and computes one way after the other again, so that the maps of one way are there at a time."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
        ctx.save_for_backward(s, weight, spacing)
        return torch.stack([length_one_way(s, weight, spacing, ahead) for ahead in ways(s)]).mean(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        s, weight, spacing = ctx.saved_tensors
        twice, total, each = torch.is_grad_enabled(), torch.zeros_like(s), gradient / len(ways(s))
        leaf = s if twice else s.detach().requires_grad_()
        for ahead in ways(s):
            with torch.enable_grad():
                length = length_one_way(leaf, weight, spacing, ahead)
            total = total + torch.autograd.grad(length, leaf, each, create_graph=twice)[0]
        return total, None, None


def ways(s: Tensor) -> list[dict[int, bool]]:
    """Return every choice of a direction along each axis of more than one voxel: True for the next voxel."""
    axes = [axis for axis in range(2, s.ndim) if s.shape[axis] > 1]
    return [dict(zip(axes, ahead, strict=True)) for ahead in product((True, False), repeat=len(axes))]


def length_one_way(s: Tensor, weight: Tensor, spacing: Tensor, ahead: dict[int, bool]) -> Tensor:
    """Return the sum over voxels with the differences in these directions, (N, C)."""
    squares = LEAST + 0 * s
    for axis, forward in ahead.items():
        step = spacing[:, axis - 2].reshape(-1, *[1] * (s.ndim - 1))
        squares = squares + (difference(s, weight > 0, axis, forward=forward) / step) ** 2
    return (squares.sqrt() * weight).flatten(2).sum(2, dtype=torch.float64)


def difference(s: Tensor, valid: Tensor, axis: int, *, forward: bool = True) -> Tensor:
    """Return the step from each voxel to the next one, or from the one before, 0 where either does not count."""
    length = s.shape[axis] - 1
    both = valid.narrow(axis, 0, length) & valid.narrow(axis, 1, length)
    steps, border = s.diff(dim=axis) * both, torch.zeros_like(s.narrow(axis, 0, 1))
    return torch.cat([steps, border] if forward else [border, steps], axis)
