"""Voxels in terms of their neighbourhood: how far each lies above the mean of a small window, in its deviations."""

from __future__ import annotations

from math import exp
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import transformed

LEAST = 1e-12
"""The variance below which a window is flat: the square root has no derivative at 0."""
SIGMA = 1.5
"""The standard deviation of the window, in voxels."""


def standardised(x: Tensor, valid: Tensor, constant: float) -> Tensor:
    """Return (x - mean + constant) / (deviation + constant) of the windows of x (B, *S), 0 where it is not `valid`.

    Voxels outside of the image, and those that are not valid, are outside of every window.
    """
    if transformed():
        return torch.stack([_plain(*each, constant) for each in zip(x, valid, strict=True)])
    found: Tensor = _Standardised.apply(x, valid, constant)  # type: ignore[no-untyped-call]
    return found


class _Standardised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, valid: Tensor, constant: float) -> Tensor:
        ctx.save_for_backward(x, valid)
        ctx.constant = constant
        # One volume at a time, because float64 doubles what each step holds.
        return torch.stack([_plain(*each, constant) for each in zip(x, valid, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, valid = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = torch.stack([_plain(*each, ctx.constant) for each in zip(x, valid, strict=True)])
            return torch.autograd.grad(again, x, gradient, create_graph=True)[0], None, None
        each = zip(x, valid, gradient, strict=True)
        return torch.stack([_pull_back(v, w, g, ctx.constant) for v, w, g in each]), None, None


def _plain(x: Tensor, valid: Tensor, constant: float) -> Tensor:
    x, mean, variance, _ = _moments(x, valid)
    found = (x - mean + constant) / (variance.clamp(min=LEAST).sqrt() + constant)
    return (found * valid).to(valid.dtype)


def _moments(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return x, mean and variance of the windows, and how much of each window is valid, in float64."""
    # The variance of a flat window is a difference of two nearly equal numbers.
    valid = valid.double()
    x, share = x.double() * valid, window(valid).clamp(min=LEAST)
    mean = window(x) / share
    return x, mean, window(x * x) / share - mean**2, share


def _pull_back(x: Tensor, valid: Tensor, gradient: Tensor, constant: float) -> Tensor:
    """Return the gradient for x: of the numerator, of the mean, and of the deviation where the window is not flat."""
    dtype = x.dtype
    x, mean, variance, share = _moments(x, valid)
    deviation = variance.clamp(min=LEAST).sqrt()
    own = gradient * valid / (deviation + constant)
    spread = own * (x - mean + constant) / (deviation + constant) / (deviation * share)
    spread = torch.where(variance > LEAST, spread, 0)
    found = own - window(own / share) - x * window(spread) + window(spread * mean)
    return (found * valid).to(dtype)


def window(x: Tensor) -> Tensor:
    """Return the sums of x (*S) under a Gaussian of three voxels a side, with 0 outside of the image."""
    side = exp(-0.5 / SIGMA**2)
    for axis in range(x.ndim):
        n, total = x.shape[axis] - 1, x.clone()
        total.narrow(axis, 1, n).add_(x.narrow(axis, 0, n), alpha=side)
        total.narrow(axis, 0, n).add_(x.narrow(axis, 1, n), alpha=side)
        x = total
    return x
