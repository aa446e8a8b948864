"""The focal term, whose power needs care near p = 1."""

from __future__ import annotations

import torch
from torch import Tensor


def focal(log_p: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma ln p, a function of ln p of any shape, with a finite derivative at p = 1."""
    if gamma == 0:
        return -log_p
    error = -torch.expm1(log_p)  # 1 - exp(log_p) cancels near p = 1
    if gamma < 1:  # the derivative of the power is infinite at 0
        error = error.clamp(min=1e-8 if log_p.dtype == torch.float32 else 1e-16)
    return -(error**gamma) * log_p
