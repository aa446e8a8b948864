"""The covariances of small regions of two grids, without keeping a copy of the grids for every voxel of a region."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import transformed


def region_covariances(s: Tensor, g: Tensor, side: int) -> Tensor:
    """Return the summed covariances (B, 2 r, 2 r) of the regions of s and g (B, *S), those of s first.

    A region has `side` voxels along each axis, or all of a shorter one, in all r. g is a constant.
    """
    if transformed():
        return torch.stack([_covariance(each) for each in joint(s, g, side)])
    found: Tensor = _Covariances.apply(s, g.detach(), side)  # type: ignore[no-untyped-call]
    return found


class _Covariances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, g: Tensor, side: int) -> Tensor:
        ctx.save_for_backward(s, g)
        ctx.side = side
        return torch.stack([_covariance(each) for each in joint(s, g, side)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        s, g = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = torch.stack([_covariance(each) for each in joint(s, g, ctx.side)])
            return torch.autograd.grad(again, s, gradient, create_graph=True)[0], None, None
        found = torch.zeros_like(s)
        for total, regions, upstream in zip(found, joint(s, g, ctx.side), gradient, strict=True):
            # The regions sum to 0, and so does any product with them: their mean needs no gradient of its own.
            moved = (upstream + upstream.T)[: len(regions) // 2] @ regions
            for own, row in zip(windows(total, ctx.side), moved, strict=True):
                own.add_(row.reshape(own.shape))
        return found, None, None


def _covariance(regions: Tensor) -> Tensor:
    return regions @ regions.T


def joint(s: Tensor, g: Tensor, side: int) -> Any:
    """Yield the regions of each of s and g (B, *S), less their mean, (2 r, number of regions)."""
    # One grid at a time: its regions are r times as large as the grid.
    for pair in zip(s, g, strict=True):
        regions = torch.stack([own.flatten() for x in pair for own in windows(x, side)])
        yield regions - regions.mean(1, keepdim=True)


def windows(x: Tensor, side: int) -> list[Tensor]:
    """Return the voxels of x (*S) that stand at each place of a region, as views."""
    sides = [min(side, n) for n in x.shape]
    found = []
    for place in product(*map(range, sides)):
        own = x
        for axis, (start, length) in enumerate(zip(place, sides, strict=True)):
            own = own.narrow(axis, start, x.shape[axis] - length + 1)
        found.append(own)
    return found
