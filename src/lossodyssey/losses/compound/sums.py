"""Named sums of a region and a distribution loss."""

from __future__ import annotations

from lossodyssey.core.fields import NonNegative, Percent
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Weight
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy, Focal
from lossodyssey.losses.distribution.topk import TopK
from lossodyssey.losses.region.dice import Dice


@preset(paper="isensee2018")
def DiceCE(dice: Weight = 1.0, ce: Weight = 1.0) -> Sum:
    """Dice plus cross entropy, the default of nnU-Net (Loss odyssey, Eq. 22).

    The most robust starting point: the region term follows the target, the distribution term keeps gradients smooth.
    """
    return dice * Dice() + ce * CrossEntropy()


@preset(paper="zhu2019")
def DiceFocal(dice: Weight = 1.0, focal: Weight = 1.0, gamma: NonNegative = 2.0) -> Sum:
    """Dice plus focal loss (Loss odyssey, Eq. 24).

    For small objects in much background: Dice follows the overlap, the focal part leaves alone the voxels that are
    right already. Its gradient is weak once most are; a larger learning rate than that of `DiceCE` often helps.
    """
    return dice * Dice() + focal * Focal(gamma=gamma)


@preset(paper="brugnara2020", aliases={"DiceTopK10": {"percent": 10.0}})
def DiceTopK(dice: Weight = 1.0, topk: Weight = 1.0, percent: Percent = 10.0) -> Sum:
    """Dice plus TopK loss (Loss odyssey, Eq. 25), first in the paper's overall ranking.

    For images in which most voxels are easy: cross entropy is asked of the hardest `percent` alone. These are also the
    voxels with wrong labels, so take more of them, or `DiceCE`, where labels are noisy.
    """
    return dice * Dice() + topk * TopK(percent=percent)
