"""Cross entropy on the hardest voxels only."""

from __future__ import annotations

from math import inf

import numpy as np
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
        share = self.share(log_p.detach(), kept)
        return quotient(-(log_p * share).sum(dtype=torch.float64), share.sum(dtype=torch.float64))

    def share(self, log_p: Tensor, kept: Tensor) -> Tensor:
        """How much each voxel counts, (V,): 1 below the `kept`-th smallest, what is left to those equal to it."""
        level = self.smallest(log_p, kept)
        below, equal = log_p < level, (log_p == level) & (level <= 0)
        left = (kept - below.sum()) / equal.sum().clamp(min=1)
        return torch.where(equal, left.to(log_p.dtype), below.to(log_p.dtype))

    def smallest(self, log_p: Tensor, kept: Tensor) -> Tensor:
        """The `kept`-th smallest of the values (V,), without sorting them."""
        if transformed():
            most = max(1, int(len(log_p) * self.percent / 100))
            return log_p.topk(most, largest=False).values.gather(0, kept[None] - 1)[0]
        if log_p.device.type != "cpu":
            return log_p.kthvalue(int(kept)).values
        position = int(kept) - 1
        return torch.tensor(np.partition(log_p.numpy(), position)[position])


class TopKThreshold(HardVoxelLoss, paper="wu2016", range=(0, inf)):
    r"""TopK loss by threshold: cross entropy averaged over the voxels whose true class has p < `threshold`.

    $-\frac{1}{|K|} \sum_{i \in K} \log p_i$, $K = \{i: p_i < t\}$ (Loss odyssey, Eq. 3). 0 where nothing is kept.

    `threshold=1` is `CrossEntropy`.
    """

    threshold: Fraction = 0.3

    def of(self, pair: Pair) -> Tensor:
        log_p, _ = self.hardness(pair)
        kept = (log_p.exp() < self.threshold) & (log_p <= 0)
        return quotient(-torch.where(kept, log_p, 0).sum(dtype=torch.float64), kept.sum())
