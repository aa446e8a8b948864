"""The Unified Focal family: focal and focal Tversky parts with shared weights, symmetric or asymmetric.

Class 0 is background, and every other class foreground. delta is the weight of missed foreground, 1 - delta that
of false alarms. Under sigmoid every channel is foreground.
"""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.fields import Fraction, NonNegative
from lossodyssey.core.kinds import OverlapLoss, VoxelLoss
from lossodyssey.core.loss import Loss, Sum
from lossodyssey.core.presets import preset
from lossodyssey.kernels.focal import focal
from lossodyssey.kernels.powers import Factors, Power
from lossodyssey.losses.region.dice import Dice, mismatch
from lossodyssey.losses.region.tversky import power


class SymmetricFocal(VoxelLoss, paper="yeung2021", range=(0, inf), aliases=("SymFocal",)):
    r"""Symmetric focal loss: focal loss with one weight for foreground and one for background voxels.

    $-\frac{1}{N} \sum_i w_i (1 - p_i)^\gamma \log p_i$, $w = \delta$ on foreground, $1 - \delta$ on background.

    With delta = 1/2 it is half of `Focal`, with gamma = 0 a weighted `CrossEntropy`.
    """

    delta: Fraction = 0.7
    gamma: NonNegative = 2.0

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        missed = focal(log_p, self.gamma)
        return torch.where(labels > 0, self.delta * missed, (1 - self.delta) * missed)

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(error=self.gamma, log=1): torch.where(labels > 0, self.delta, 1 - self.delta)}


class AsymmetricFocal(VoxelLoss, paper="yeung2021", range=(0, inf), aliases=("AsymFocal",)):
    r"""Asymmetric focal loss: `SymmetricFocal` that never plays down a foreground voxel.

    $-\frac{1}{N} \sum_i w_i m_i \log p_i$, with $m = (1 - p)^\gamma$ on background and 1 on foreground.
    """

    delta: Fraction = 0.7
    gamma: NonNegative = 2.0

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return torch.where(labels > 0, -self.delta * log_p, (1 - self.delta) * focal(log_p, self.gamma))

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        focal_part = Power(error=self.gamma, log=1)
        if self.gamma == 0:
            return {focal_part: torch.where(labels > 0, self.delta, 1 - self.delta)}
        return {Power(log=1): self.delta * (labels > 0), focal_part: (1 - self.delta) * (labels == 0)}


class SymmetricFocalTversky(OverlapLoss, paper="yeung2021", range=(0, 1), aliases=("SymFocalTversky",)):
    r"""Symmetric focal Tversky loss: a power of the Tversky loss of every class.

    $x_c^{1-\gamma}$, $x_c = 1 - \frac{TP}{TP + (1-\delta) FP + \delta FN}$.

    Equal to `FocalTversky(alpha=1 - delta, beta=delta, exponent=1 - gamma, background=True)`.
    """

    delta: Fraction = 0.7
    gamma: Fraction = 0.75
    background: bool = True
    smooth: NonNegative = 1e-7

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        x = mismatch(tp, (1 - self.delta) * fp + self.delta * fn, self.smooth)
        return power(x, 1 - self.gamma)


class AsymmetricFocalTversky(
    OverlapLoss, paper="yeung2021", range=(0, 1), aliases=("AsymFocalTversky",), without=("pooled",)
):
    r"""Asymmetric focal Tversky loss: the power enhances the foreground classes alone.

    $x_0$ for the background, $x_c^{1-\gamma}$ for every other class; x as in `SymmetricFocalTversky`.
    """

    delta: Fraction = 0.7
    gamma: Fraction = 0.75
    background: bool = True
    smooth: NonNegative = 1e-7

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, foreground: Tensor) -> Tensor:
        x = mismatch(tp, (1 - self.delta) * fp + self.delta * fn, self.smooth)
        return torch.where(foreground, power(x, 1 - self.gamma), x)


def _unified(region: type[Loss], focal: type[Loss], region_weight: float | None, **shared: float) -> Sum:
    """Return the weighted sum of two losses with the same hyper-parameters.

    A loss of weight 0 is not made, so that its hyper-parameters are not refused.
    """
    shares = (1.0, 1.0) if region_weight is None else (region_weight, 1 - region_weight)
    return Sum([(share, loss(**shared)) for share, loss in zip(shares, (region, focal), strict=True) if share])


@preset(paper="yeung2021", aliases=("SymUnifiedFocal", "UnifiedFocal", "UFL"))
def SymmetricUnifiedFocal(region_weight: Fraction | None = 0.5, delta: Fraction = 0.6, gamma: NonNegative = 0.5) -> Sum:
    """Symmetric Unified Focal loss: focal Tversky and focal loss with shared weights of errors.

    `region_weight` multiplies the Tversky part, 1 - `region_weight` the focal part; None adds them. (The authors'
    code weighs so; the paper's lambda multiplies the focal part.) With (1, 0.5, 0) it is Dice with background, with
    (0, 0.5, gamma) half of `Focal`.
    """
    return _unified(SymmetricFocalTversky, SymmetricFocal, region_weight, delta=delta, gamma=gamma)


@preset(paper="yeung2021", aliases=("AsymUnifiedFocal", "UnifiedFocal", "UFL"))
def AsymmetricUnifiedFocal(
    region_weight: Fraction | None = 0.5, delta: Fraction = 0.6, gamma: NonNegative = 0.5
) -> Sum:
    """Asymmetric Unified Focal loss: foreground is enhanced in the Tversky part, never played down in the focal part.

    `region_weight` as for `SymmetricUnifiedFocal`, to which it is equal where gamma is 0.
    """
    return _unified(AsymmetricFocalTversky, AsymmetricFocal, region_weight, delta=delta, gamma=gamma)


@preset(paper="taghanaki2018", aliases=("ComboLoss",), hides=("delta", "gamma"))
def Combo(alpha: Fraction = 0.5, beta: Fraction = 0.5) -> Sum:
    """Combo loss: cross entropy with weights for missed foreground (beta) and false alarms (1 - beta), plus batch Dice.

    `alpha` multiplies the cross entropy, 1 - `alpha` the Dice loss, whose `smooth` is 1.
    """
    # With gamma = 0 the focal loss is the cross entropy with the weights beta and 1 - beta.
    return alpha * SymmetricFocal(delta=beta, gamma=0) + (1 - alpha) * Dice(batch=True, smooth=1)
