"""Generalised Dice: one ratio over all classes, weighted by their size."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch import where as choose

from lossodyssey.losses.loss import OverlapLoss, quotient


class GeneralizedDice(OverlapLoss, paper="sudre2017", range=(0, 1)):
    r"""Generalised Dice loss: one ratio over all classes, each weighted by the inverse of its squared size.

    $1 - \frac{2 \sum_c w_c TP_c}{\sum_c w_c (2\,TP_c + FP_c + FN_c)}$, $w_c = 1/G_c^2$ (Loss odyssey, Eq. 15).

    `weight_type`: "square" $1/G^2$, "simple" $1/G$, "uniform" 1. A class without true voxels in a unit takes the
    largest weight of the classes present (`absent_weight="max"`, as NiftyNet) or none ("zero"). The released code
    behind the published tables gives it 1e5 and more instead, which drowns all other classes.
    """

    background: bool = True
    weight_type: Literal["square", "simple", "uniform"] = "square"
    absent_weight: Literal["max", "zero"] = "max"

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, g: Tensor) -> Tensor:
        w = self.weights(g)
        errors = (w * (fp + fn)).sum(1, keepdim=True)
        return quotient(errors, errors + 2 * (w * tp).sum(1, keepdim=True))

    def weights(self, g: Tensor) -> Tensor:
        """Weight of each class by its true size g (units, classes)."""
        exponent = {"square": 2, "simple": 1, "uniform": 0}[self.weight_type]
        w = choose(g > 0, g.clamp(min=1) ** -exponent, 0)
        return w if self.absent_weight == "zero" else choose(g > 0, w, w.amax(1, keepdim=True))
