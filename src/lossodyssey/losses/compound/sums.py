"""Named sums of a region and a distribution loss."""

from __future__ import annotations

from lossodyssey.losses.algebra import Sum
from lossodyssey.losses.atlas import preset
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy, Focal
from lossodyssey.losses.distribution.topk import TopK
from lossodyssey.losses.region.dice import Dice


@preset(paper="isensee2018")
def DiceCE(dice: float = 1.0, ce: float = 1.0) -> Sum:
    """Dice plus cross entropy, the default of nnU-Net (Loss odyssey, Eq. 22).

    The most robust starting point: the region term follows the target, the distribution term keeps gradients smooth.
    """
    return dice * Dice() + ce * CrossEntropy()


@preset(paper="zhu2019")
def DiceFocal(dice: float = 1.0, focal: float = 1.0, gamma: float = 2.0) -> Sum:
    """Dice plus focal loss (Loss odyssey, Eq. 24)."""
    return dice * Dice() + focal * Focal(gamma=gamma)


@preset(paper="brugnara2020")
def DiceTopK(dice: float = 1.0, topk: float = 1.0, percent: float = 10.0) -> Sum:
    """Dice plus TopK loss (Loss odyssey, Eq. 25), first in the paper's overall ranking."""
    return dice * Dice() + topk * TopK(percent=percent)
