"""Dice and Jaccard: overlap divided by size."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.core.kinds import OverlapLoss, ratio


class Dice(
    OverlapLoss,
    paper="drozdzal2016",
    range=(0, 1),
    aliases={
        "DC": {},
        "SoftDice": {},
        "DiceSquared": {"square": True},
        "SquaredDice": {"square": True},
        "DiceSemimetric": {"square": False},
    },
):
    r"""Soft Dice loss: one minus twice the overlap divided by the sum of both sizes.

    $1 - \frac{2\,TP}{2\,TP + FP + FN}$ (Loss odyssey, Eq. 9); with `square=True` it is
    $\frac{\sum (s - g)^2}{\sum s^2 + \sum g^2}$ (Milletari 2016; Eq. 8). The ratio is made per class and then averaged;
    `pooled=True` is one ratio of the sums over all classes, as Eq. 8 is printed.

    The usual choice when the target is the Dice coefficient. `batch=True` pools the batch before dividing, which is
    steadier for classes that are often absent. Equal to `Tversky(alpha=0.5, beta=0.5)` (with half the `smooth`);
    per class, `Jaccard` is $2x/(1+x)$ of it. Of soft labels TP is $\sum \min(s, g)$, that is
    $(\|s\|_1 + \|g\|_1 - \|s - g\|_1) / 2$, so that s = g costs 0: the Dice semimetric loss.
    """

    square: bool = False

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, sg: Tensor, s2: Tensor, g2: Tensor) -> Tensor:
        if self.square:
            return mismatch(2 * sg, s2 + g2 - 2 * sg, self.smooth)
        return mismatch(2 * tp, fp + fn, self.smooth)


class Jaccard(
    OverlapLoss, paper="rahman2016", range=(0, 1), aliases=("IoU", "SoftIoU", "SoftJaccard", "JaccardMetric")
):
    r"""Soft Jaccard loss (intersection over union).

    $1 - \frac{TP}{TP + FP + FN}$ (Loss odyssey, Eq. 10). The ratio is made per class and then averaged;
    `pooled=True` is one ratio of the sums over all classes, as Eq. 10 is printed. Equal to `Tversky(alpha=1, beta=1)`.
    Of soft labels TP is $\sum \min(s, g)$, so that s = g costs 0: the Jaccard metric loss.
    """

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return mismatch(tp, fp + fn, self.smooth)


def mismatch(overlap: Tensor, errors: Tensor, smooth: float) -> Tensor:
    """Return 1 - (overlap + smooth) / (overlap + errors + smooth), and 0 where all of them are 0.

    Written as errors over the sum, which keeps its digits near the perfect prediction.
    """
    return ratio(errors, overlap + errors + smooth)
