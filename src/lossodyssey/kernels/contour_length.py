"""The length of soft contours: the sum of the norms of their differences, with a gradient made along with it."""

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
        return plain_length(s, weight, spacing)
    length: Tensor = _Length.apply(s, weight.expand_as(s), spacing)  # type: ignore[no-untyped-call]
    return length


class _Length(torch.autograd.Function):
    """Makes the gradient with the value, one sample and class after the other, and keeps it."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
        gradient, lengths = torch.empty_like(s), s.new_empty(s.shape[:2], dtype=torch.float64)
        for n, c in product(*map(range, s.shape[:2])):
            lengths[n, c] = fill(gradient[n, c], s[n, c], weight[n, c], spacing[n])
        ctx.save_for_backward(s, weight, spacing, gradient)
        return lengths

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        s, weight, spacing, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(plain_length(s, weight, spacing), s, upstream, create_graph=True)[0], None, None
        return gradient * upstream.to(s.dtype).reshape(*s.shape[:2], *[1] * (s.ndim - 2)), None, None


def fill(gradient: Tensor, s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
    """Write the gradient of the length of one contour s (*S), and return the length."""
    directions = ways(s.shape)
    steps = {axis: step_along(s, weight > 0, axis) / spacing[axis] for axis in directions[0]}
    squares = {axis: step**2 for axis, step in steps.items()}
    pulls = {axis: torch.zeros_like(step) for axis, step in steps.items()}
    length = s.new_zeros((), dtype=torch.float64)
    for way in directions:
        norm = torch.full_like(s, LEAST)
        for axis, start in way.items():
            norm.narrow(axis, start, s.shape[axis] - 1).add_(squares[axis])
        norm.sqrt_()
        length += (norm * weight).sum(dtype=torch.float64)
        norm.reciprocal_().mul_(weight)
        for axis, start in way.items():
            pulls[axis].add_(norm.narrow(axis, start, s.shape[axis] - 1))

    gradient.zero_()
    for axis, pull in pulls.items():
        flow = pull.mul_(steps[axis]).div_(spacing[axis] * len(directions))
        gradient.narrow(axis, 1, s.shape[axis] - 1).add_(flow)
        gradient.narrow(axis, 0, s.shape[axis] - 1).sub_(flow)
    return length / len(directions)


def plain_length(s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
    """Return the same, for function transforms, compilers and second derivatives."""
    directions, valid = ways(s.shape[2:]), weight > 0
    lengths = []
    for way in directions:
        squares = LEAST + 0 * s
        for axis, start in way.items():
            step = spacing[:, axis].reshape(-1, *[1] * (s.ndim - 1))
            squares = squares + (difference(s, valid, axis + 2, start) / step) ** 2
        lengths.append((squares.sqrt() * weight).flatten(2).sum(2, dtype=torch.float64))
    return torch.stack(lengths).mean(0)


def ways(shape: torch.Size) -> list[dict[int, int]]:
    """Return every choice for each axis of more than one voxel: 0 for the step ahead, 1 for that from behind."""
    axes = [axis for axis, length in enumerate(shape) if length > 1]
    return [dict(zip(axes, starts, strict=True)) for starts in product((0, 1), repeat=len(axes))]


def difference(s: Tensor, valid: Tensor, axis: int, start: int = 0) -> Tensor:
    """Return the steps of s where each begins (`start` 0) or ends (1), and 0 in the remaining voxels."""
    steps, border = step_along(s, valid, axis), torch.zeros_like(s.narrow(axis, 0, 1))
    return torch.cat([border, steps] if start else [steps, border], axis)


def step_along(s: Tensor, valid: Tensor, axis: int) -> Tensor:
    """Return the steps of s from each voxel to the next, one fewer than voxels; 0 where either does not count."""
    length = s.shape[axis] - 1
    return s.diff(dim=axis) * (valid.narrow(axis, 0, length) & valid.narrow(axis, 1, length))
