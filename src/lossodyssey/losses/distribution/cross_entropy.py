"""Cross entropy and its re-weighted relatives."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.losses.fields import NonNegative
from lossodyssey.losses.loss import VoxelLoss


class CrossEntropy(VoxelLoss, paper="ronneberger2015", range=(0, inf)):
    r"""Cross entropy: the negative log-likelihood of the true class, averaged over voxels.

    $-\frac{1}{N} \sum_i w_{g_i} \log p_i$, with $p_i$ the probability of voxel i's true class.

    The common starting point; without weights it favours frequent classes. `class_weights` make it the paper's
    weighted cross entropy (Loss odyssey, Eq. 1 and 2). `Focal(gamma=0)` and `TopK(percent=100)` are equal to it.
    """

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return -log_p


class Focal(VoxelLoss, paper="lin2017", range=(0, inf)):
    r"""Focal loss: cross entropy that counts voxels the less the better they are already classified.

    $-\frac{1}{N} \sum_i w_{g_i} (1 - p_i)^\gamma \log p_i$ (Loss odyssey, Eq. 5).

    For few hard voxels among many easy ones. `gamma=0` is `CrossEntropy`. The mean is over all voxels, not over the
    foreground; class weights are used as given.
    """

    gamma: NonNegative = 2.0

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return -miss(log_p, self.gamma) * log_p


def miss(log_p: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma, with a finite slope at p = 1."""
    if gamma == 0:
        return torch.ones_like(log_p)
    # 1 - exp(log_p) cancels near p = 1; expm1 does not. Below `tiny` the power's slope would be infinite.
    tiny = 1e-8 if log_p.dtype == torch.float32 else 1e-16
    return (-torch.expm1(log_p)).clamp(min=tiny) ** gamma
