"""The exponential-logarithmic loss and its two parts."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.fields import ClassWeights, Positive
from lossodyssey.core.kinds import OverlapLoss, VoxelLoss
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Weight
from lossodyssey.kernels.powers import Factors, Power
from lossodyssey.losses.region.tversky import power


class LogarithmicDice(OverlapLoss, paper="wong2018", range=(0, inf)):
    r"""Logarithmic Dice loss: a power of the negative logarithm of the Dice score per class.

    $(-\ln \frac{2\,TP}{2\,TP + FP + FN})^q$. Below 1, q stresses both bad and nearly perfect classes.
    """

    exponent: Positive = 0.3
    background: bool = True
    smooth: Positive = 1.0

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return power(torch.log1p((fp + fn) / (2 * tp + self.smooth)), self.exponent)


class ExponentialCE(VoxelLoss, paper="wong2018", range=(0, inf)):
    r"""Exponential cross entropy: a power of each voxel's cross entropy.

    $\frac{1}{N} \sum_i w_{g_i} (-\ln p_i)^q$. `exponent=1` is `CrossEntropy`.
    """

    exponent: Positive = 0.3

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return power(-log_p, self.exponent)

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=self.exponent): 1}


@preset(paper="wong2018", aliases=("ELL", "ExpLog"))
def ExponentialLogarithmic(
    dice: Weight = 0.8, ce: Weight = 0.2, exponent: Positive = 0.3, class_weights: ClassWeights = None
) -> Sum:
    """Exponential-logarithmic loss: powers of logarithmic Dice and of cross entropy (Loss odyssey, Eq. 23).

    For objects of very different size. Wong's class weights are the square root of all labels over the class's
    labels in the training set.
    """
    return dice * LogarithmicDice(exponent=exponent) + ce * ExponentialCE(
        exponent=exponent, class_weights=class_weights
    )
