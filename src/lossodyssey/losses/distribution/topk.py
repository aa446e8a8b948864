"""Cross entropy on the hardest voxels only."""

from __future__ import annotations

from math import inf, log
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import Request, VoxelTerm, transformed
from lossodyssey.kernels.ordering import smallest
from lossodyssey.losses.fields import Fraction, Percent
from lossodyssey.losses.loss import Loss, quotient
from lossodyssey.losses.pair import Pair


class HardVoxelLoss(Loss, abstract=True):
    """Abstract: the mean of the cross entropy over the voxels that are kept."""

    def ask(self, pair: Pair, request: Request) -> None:
        request.log_p = True

    def hardness(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Log-probability of each voxel's truth, flat, 1 where a voxel does not count; and how many count."""
        log_p = pair.log_p(self)
        if pair.weight is None:
            return log_p.flatten(), torch.tensor(log_p.numel(), dtype=torch.float64, device=log_p.device)
        valid = (pair.weight[:, None] > 0).expand_as(log_p)
        return torch.where(valid, log_p, 1).flatten(), valid.sum().double()


class TopK(HardVoxelLoss, paper="wu2016", range=(0, inf)):
    r"""TopK loss: cross entropy averaged over the hardest `percent` of all voxels of the batch.

    $-\frac{1}{|K|} \sum_{i \in K} \log p_i$, K the $k\%$ voxels with the smallest $p_i$ (Loss odyssey, Eq. 4, which
    prints $1/N$; the code of all known implementations averages over K).

    `percent=100` is `CrossEntropy`. At least one voxel is kept; ignored voxels are neither kept nor counted.
    """

    percent: Percent = 10.0

    def of(self, pair: Pair) -> Tensor:
        log_p, count = self.hardness(pair)
        kept = (count * self.percent / 100).long().clamp(min=1)
        level = smallest(log_p.detach(), kept, most=max(1, int(len(log_p) * self.percent / 100)))
        kept = kept.clamp(max=count.long())
        return quotient(-sum_of_smallest(log_p, level, kept), kept)


def sum_of_smallest(values: Tensor, level: Tensor, kept: Tensor) -> Tensor:
    """The sum of the `kept` smallest of the values (V,), the largest of them `level`; its equals are kept in part."""
    if transformed():
        return (values * shares(values < level, values == level, kept, values.dtype)).sum()
    total: Tensor = _SumOfSmallest.apply(values, level, kept)  # type: ignore[no-untyped-call]
    return total


def shares(below: Tensor, equal: Tensor, kept: Tensor, dtype: torch.dtype) -> Tensor:
    """How much each value counts: 1 below the level, what is left of `kept` divided among its equals."""
    left = (kept - below.count_nonzero()).double() / equal.count_nonzero().clamp(min=1)
    return torch.where(equal, left.to(dtype), below)


class _SumOfSmallest(torch.autograd.Function):
    """Keeps two bytes per value, where autograd would keep the shares."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, level: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(values < level, values == level, kept)
        return kept * level + (values - level).clamp_(max=0).sum()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        below, equal, kept = ctx.saved_tensors
        return shares(below, equal, kept, upstream.dtype).mul_(upstream), None, None


class TopKThreshold(Loss, paper="wu2016", range=(0, inf)):
    r"""TopK loss by threshold: cross entropy averaged over the voxels whose true class has p < `threshold`.

    $-\frac{1}{|K|} \sum_{i \in K} \log p_i$, $K = \{i: p_i < t\}$ (Loss odyssey, Eq. 3). 0 where nothing is kept.

    `threshold=1` is `CrossEntropy`.
    """

    threshold: Fraction = 0.3

    def ask(self, pair: Pair, request: Request) -> None:
        request.voxel_terms += [VoxelTerm(self, self.formula), VoxelTerm(self, self.kept)]

    def of(self, pair: Pair) -> Tensor:
        return quotient(pair.term(self), pair.term(self, 1))

    def formula(self, log_p: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
        """Cross entropy of the voxels that are kept."""
        return torch.where(log_p < self.level, -log_p, 0)

    def kept(self, log_p: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
        """1 where p < `threshold`, else 0."""
        return (log_p.detach() < self.level).to(log_p.dtype)

    @property
    def level(self) -> float:
        return log(self.threshold) if self.threshold else -inf
