"""Sums over the processes of a distributed training."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def average_gradient(parameter: Tensor) -> None:
    """Replace a parameter's gradient by its mean over all processes, as `DistributedDataParallel` does in a network.

    Every process must call this.
    """
    if dist.is_available() and dist.is_initialized() and parameter.grad is not None:
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()


def over_ranks(table: Tensor) -> Tensor:
    """Return the sum of `table` over all processes; `table` itself where there is only one.

    Every process must call this. Gradients are summed too: each process then has its share of the gradient times the
    number of processes, and the averaging of `DistributedDataParallel` gives the gradient of one process.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return table
    total: Tensor = _SumOverRanks.apply(table)  # type: ignore[no-untyped-call]
    return total


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor) -> Tensor:
        total = table.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return over_ranks(gradient)
