"""Sensitivity and specificity, weighted."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.core.fields import Fraction
from lossodyssey.core.kinds import OverlapLoss, quotient


class SensitivitySpecificity(OverlapLoss, paper="brosch2015", range=(0, 1), aliases=("SS",)):
    r"""Sensitivity-specificity loss: squared errors, averaged over true and over false voxels apart.

    $r \frac{\sum g (1-s)^2}{\sum g} + (1-r) \frac{\sum (1-g) s^2}{\sum (1-g)}$ (Loss odyssey, Eq. 7, per class
    instead of pooled over classes).

    r = 0.05 weighs the few true voxels little, because their average is over so few. The gradient vanishes near the
    perfect prediction, where errors are squared. Of soft labels it is the mean over the hard labels that they may stand
    for, which is least at a prediction between them and their mean over all voxels, not at s = g.
    """

    r: Fraction = 0.05

    def formula(self, sg: Tensor, tp2: Tensor, fp2: Tensor, g: Tensor, n: Tensor) -> Tensor:
        missed = quotient(g - 2 * sg + tp2, g + self.smooth)
        false_alarm = quotient(fp2, n - g + self.smooth)
        return self.r * missed + (1 - self.r) * false_alarm
