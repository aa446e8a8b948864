"""The focal term: PyTorch's operations for any input, compiled code for float32 on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import compiles


def focal(log_p: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma ln p, a function of ln p of any shape, with a finite derivative at p = 1."""
    if gamma and compiles(log_p):
        values: Tensor = _Focal.apply(log_p, gamma)  # type: ignore[no-untyped-call]
        return values
    return _focal(log_p, gamma)


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    if gamma == 0:
        return -log_p
    error = -torch.expm1(log_p)  # 1 - exp(log_p) cancels near p = 1
    if gamma < 1:  # the derivative of the power is infinite at 0
        error = error.clamp(min=1e-8 if log_p.dtype == torch.float32 else 1e-16)
    return -(error**gamma) * log_p


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_p: Tensor, gamma: float) -> Tensor:
        ctx.save_for_backward(log_p)
        ctx.gamma, values = gamma, torch.empty_like(log_p, memory_format=torch.contiguous_format)
        native.call("lo_focal", log_p.contiguous(), log_p.numel(), float(gamma), values)
        return values

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (log_p,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(_focal(log_p, ctx.gamma), log_p, upstream, create_graph=True)[0], None
        gradient = torch.empty_like(log_p, memory_format=torch.contiguous_format)
        given = (log_p.contiguous(), upstream.contiguous(), log_p.numel(), float(ctx.gamma))
        native.call("lo_focal_gradient", *given, gradient)
        return gradient, None
