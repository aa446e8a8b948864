"""Generalised Dice: one ratio over all classes, weighted by their size."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.kinds import OverlapLoss, ratio


class SizeWeightedLoss(OverlapLoss, abstract=True, without=("smooth", "pooled", "absent")):
    """Abstract: classes weighted by the inverse of their true size, then pooled into one ratio.

    `class_weights` multiply these weights; there is no `smooth`, because numerator and denominator are of any size.
    """

    background: bool = True
    weight_type: Literal["square", "simple", "uniform"] = "square"
    absent_weight: Literal["max", "zero"] = "max"

    def one_ratio(self, tp: Tensor, fp: Tensor, fn: Tensor, g: Tensor, w: Tensor) -> Tensor:
        """Return the generalised Dice loss (units, 1); `w` multiplies the weight of each class's size."""
        exponent = {"square": 2, "simple": 1, "uniform": 0}[self.weight_type]
        by_size = torch.where(g > 0, torch.where(g > 0, g, 1) ** -exponent, 0)
        if self.absent_weight == "max":
            by_size = torch.where(g > 0, by_size, by_size.amax(1, keepdim=True))
        w = w * by_size
        # 1 - 2 overlap / (2 overlap + errors) is errors / (errors + 2 overlap): nothing cancels
        # (Loss odyssey, Eq. 15).
        errors = (w * (fp + fn)).sum(1, keepdim=True)
        return ratio(errors, errors + 2 * (w * tp).sum(1, keepdim=True))


class GeneralizedDice(SizeWeightedLoss, paper="sudre2017", range=(0, 1), aliases=("GDice", "GDL", "GeneralisedDice")):
    r"""Generalised Dice loss: one ratio over all classes, each weighted by the inverse of its squared size.

    $1 - \frac{2 \sum_c w_c TP_c}{\sum_c w_c (2\,TP_c + FP_c + FN_c)}$, $w_c = 1/G_c^2$ (Loss odyssey, Eq. 15).

    For classes of very different size. `weight_type`: "square" $1/G^2$, "simple" $1/G$, "uniform" 1. A class without
    true voxels in a unit takes the largest weight of the classes present (`absent_weight="max"`, as NiftyNet) or
    none ("zero").
    """

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, g: Tensor, w: Tensor) -> Tensor:
        return self.one_ratio(tp, fp, fn, g, w)


class PenaltyGeneralizedDice(SizeWeightedLoss, paper="yang2019", range=(0, 1), aliases=("pGDice",)):
    r"""Penalty generalised Dice loss: generalised Dice with false positives and negatives counted k times more.

    $1 - \frac{GD}{1 + k (1 - GD)}$, that is $\frac{(1+k) x}{1 + k x}$ with x the `GeneralizedDice` loss (Loss
    odyssey, Eq. 18).

    The penalty steepens the loss near the perfect prediction. `k=0` is `GeneralizedDice`.
    """

    k: NonNegative = 2.5

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, g: Tensor, w: Tensor) -> Tensor:
        x = self.one_ratio(tp, fp, fn, g, w)
        return (1 + self.k) * x / (1 + self.k * x)
