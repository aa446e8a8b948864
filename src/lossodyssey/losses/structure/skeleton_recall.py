"""Skeleton recall: whether the centre lines of the truth are found."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, HardSkeleton
from lossodyssey.core.counts import Counts
from lossodyssey.core.fields import Interval
from lossodyssey.core.kinds import OverlapLoss, quotient
from lossodyssey.core.loss import Sum
from lossodyssey.core.pair import Pair
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Weight
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy
from lossodyssey.losses.region.dice import Dice


class SkeletonRecall(
    OverlapLoss, paper="kirchhoff2024", range=(0, 1), alone=False, local=False, without=("background", "absent")
):
    r"""Skeleton recall loss: the share of the true centre lines that the prediction misses.

    $1 - \frac{\sum_i t_i s_i}{\sum_i t_i}$ per class, t the skeleton of all foreground, dilated `tube` times along
    the axes and cut to the class.

    For vessels, airways, nerves and roots, beside Dice and cross entropy with weight 1 (`DiceCESkeletonRecall`): it is
    recall alone, and 0 where everything is foreground. Its skeleton is made from the labels alone (by a loader's
    worker), which is a hundred times cheaper than `CenterlineDice`. A class without skeleton does not count.
    `per_class=True` makes a skeleton of every class: where classes touch, the skeleton of all foreground runs between
    them. The tube is measured in voxels. Soft labels have the centre lines of their likeliest classes; a prediction
    above the soft label on these costs 0.
    """

    tube: Annotated[int, Interval(0, 10)] = 2
    per_class: bool = False

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"tube": HardSkeleton(tube=self.tube, per_class=self.per_class)}

    def formula(self, s_tube: Tensor, g_tube: Tensor) -> Tensor:
        return quotient((g_tube - s_tube).clamp(min=0), g_tube + self.smooth)

    def weight_of_classes(self, pair: Pair, counts: Counts) -> Tensor:
        return super().weight_of_classes(pair, counts) * (counts.under["tube"][1] > 0)


@preset(paper="kirchhoff2024")
def DiceCESkeletonRecall(dice: Weight = 1.0, ce: Weight = 1.0, skeleton: Weight = 1.0) -> Sum:
    """Dice, cross entropy and skeleton recall, weight 1 each: the cheapest of the sums for vessels (Kirchhoff 2024).

    For vessels in large volumes. It looks for true lines and is blind to false ones, so see the Betti error, too.
    """
    return dice * Dice() + ce * CrossEntropy() + skeleton * SkeletonRecall()
