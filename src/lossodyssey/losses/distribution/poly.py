"""Poly losses: cross entropy and focal loss as series in 1 - p, with another first coefficient."""

from __future__ import annotations

from math import inf
from typing import Annotated

import torch
from torch import Tensor

from lossodyssey.core.fields import Interval, NonNegative
from lossodyssey.core.kinds import VoxelLoss
from lossodyssey.kernels.focal import focal
from lossodyssey.kernels.powers import Factors, Power

Coefficient = Annotated[float, Interval(-1)]
"""Below -1 a worse voxel could cost less."""


class PolyCE(VoxelLoss, paper="leng2022", range=(0, inf), aliases=("Poly1CE", "PolyLoss")):
    r"""Poly-1 cross entropy: cross entropy plus a multiple of the probability that the true class lacks.

    $\frac{1}{N} \sum_i w_{g_i} (-\log p_i + \epsilon (1 - p_i))$.

    Cross entropy is the series $\sum_k (1 - p)^k / k$, of which `epsilon` changes the first coefficient: above 0 the
    gradient of nearly right voxels grows, below 0 it shrinks. `epsilon=0` is `CrossEntropy`. The formula is that of
    published code; the paper was not read.
    """

    epsilon: Coefficient = 1.0

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return -log_p - self.epsilon * torch.expm1(log_p)

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=1): 1, Power(error=1): self.epsilon}


class PolyFocal(VoxelLoss, paper="leng2022", range=(0, inf), aliases=("Poly1Focal",)):
    r"""Poly-1 focal loss: focal loss plus a multiple of the next power of the error.

    $\frac{1}{N} \sum_i w_{g_i} (-(1 - p_i)^\gamma \log p_i + \epsilon (1 - p_i)^{\gamma + 1})$.

    `epsilon=0` is `Focal`, `gamma=0` is `PolyCE`. Class weights multiply both terms; the alpha of published code
    weighs the focal term alone. The formula is that of this code; the paper was not read.
    """

    epsilon: Coefficient = 1.0
    gamma: NonNegative = 2.0

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return focal(log_p, self.gamma) + self.epsilon * (-torch.expm1(log_p)) ** (self.gamma + 1)

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(error=self.gamma, log=1): 1, Power(error=self.gamma + 1): self.epsilon}
