"""Cross entropy on the hardest voxels only."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.kernels import Request, transformed
from lossodyssey.losses.fields import Fraction, Percent
from lossodyssey.losses.loss import Loss, quotient
from lossodyssey.losses.pair import Pair


class HardVoxelLoss(Loss, abstract=True):
    """Abstract: the mean of the cross entropy over the voxels that are kept."""

    def ask(self, pair: Pair, request: Request) -> None:
        request.log_p = True

    def hardness(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Log-probability of each voxel's truth, flat, +inf where a voxel does not count; and how many count."""
        log_p = pair.log_p(self)
        if pair.weight is None:
            return log_p.flatten(), torch.tensor(log_p.numel(), dtype=torch.float64, device=log_p.device)
        valid = (pair.weight[:, None] > 0).expand_as(log_p)
        return torch.where(valid, log_p, torch.inf).flatten(), valid.sum().double()


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
        most = max(1, int(len(log_p) * self.percent / 100))
        if not transformed():
            most = min(most, int(kept))
        hardest = log_p.topk(most, largest=False).values
        counts = (torch.arange(most, device=log_p.device) < kept) & torch.isfinite(hardest)
        return quotient(-torch.where(counts, hardest, 0).sum(dtype=torch.float64), counts.sum())


class TopKThreshold(HardVoxelLoss, paper="wu2016", range=(0, inf)):
    r"""TopK loss by threshold: cross entropy averaged over the voxels whose true class has p < `threshold`.

    $-\frac{1}{|K|} \sum_{i \in K} \log p_i$, $K = \{i: p_i < t\}$ (Loss odyssey, Eq. 3). 0 where nothing is kept.

    `threshold=1` is `CrossEntropy`.
    """

    threshold: Fraction = 0.3

    def of(self, pair: Pair) -> Tensor:
        log_p, _ = self.hardness(pair)
        kept = (log_p.exp() < self.threshold) & torch.isfinite(log_p)
        return quotient(-torch.where(kept, log_p, 0).sum(dtype=torch.float64), kept.sum())
