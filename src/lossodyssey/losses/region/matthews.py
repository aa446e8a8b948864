"""The Matthews correlation of prediction and truth."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.core.fields import Positive
from lossodyssey.core.kinds import OverlapLoss


class MatthewsCorrelation(OverlapLoss, paper="abhishek2021", range=(0, 2), aliases=("MCC",)):
    r"""Matthews correlation loss: one minus the correlation of prediction and truth over the voxels.

    $1 - \frac{TP \cdot TN - FP \cdot FN}{\sqrt{(TP + FP)(TP + FN)(TN + FP)(TN + FN)}}$ per class against all others.

    Unlike Dice it rewards true background, so that it stays informative for objects that fill most of the image. 1 is
    chance, 2 the inverse of the truth. `smooth` is added to TP and TN: a class that is absent and not predicted costs
    0, and one that is absent and predicted 1.
    """

    smooth: Positive = 1e-5

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
        # Differences of sums: rounding may leave them below 0, of which there is no root.
        tp, tn, fp, fn = (count.clamp(min=0) for count in (tp, tn, fp, fn))
        tp, tn = tp + self.smooth, tn + self.smooth
        foreground, background = (tp + fp) * (tp + fn), (tn + fp) * (tn + fn)
        return 1 - (tp * tn - fp * fn) / (foreground**0.5 * background**0.5)
