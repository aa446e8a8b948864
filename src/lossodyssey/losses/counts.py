"""The counts that overlap losses are functions of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey.kernels import Statistics
from lossodyssey.losses.distributed import over_ranks


@dataclass(frozen=True)
class Counts:
    """Soft counts per unit and class, (units, classes), float64.

    s: sum of the probability. g: true voxels. tp, fp, fn, tn: true and false positives and negatives.
    s2: sum of the squared probability, tp2: the same over true voxels (None unless asked for). n: voxels.
    foreground: (classes,) bool, which of them are foreground.
    """

    sums: Tensor
    g: Tensor
    n: Tensor
    foreground: Tensor

    @classmethod
    def of(cls, statistics: Statistics, *, first: int, batch: bool, has_background: bool) -> Counts:
        """The counts of one pass from class `first` on, per sample or summed over the batch."""
        voxels = torch.ones_like(statistics.truths) * statistics.voxels
        sums, truths, voxels = statistics.sums[:, first:], statistics.truths[:, first:], voxels[:, first:]
        if batch:
            sums, truths, voxels = (over_ranks(x.sum(0, keepdim=True)) for x in (sums, truths, voxels))
        foreground = torch.arange(first, first + truths.shape[1], device=truths.device) >= has_background
        return cls(sums, truths, voxels, foreground)

    @property
    def s(self) -> Tensor:
        return self.sums[..., 0]

    @property
    def tp(self) -> Tensor:
        return self.sums[..., 1]

    @property
    def s2(self) -> Tensor | None:
        return self.sums[..., 2] if self.sums.shape[2] > 2 else None

    @property
    def tp2(self) -> Tensor | None:
        return self.sums[..., 3] if self.sums.shape[2] > 2 else None

    @property
    def fp(self) -> Tensor:
        return self.s - self.tp

    @property
    def fn(self) -> Tensor:
        return self.g - self.tp

    @property
    def tn(self) -> Tensor:
        return self.n - self.s - self.fn
