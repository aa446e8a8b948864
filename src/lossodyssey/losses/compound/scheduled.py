"""Region losses with a boundary loss that takes over while training goes on."""

from __future__ import annotations

from typing import Annotated, Literal

from lossodyssey.core.fields import Fraction, Interval
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Ramp, Ratio
from lossodyssey.losses.boundary.boundary import Boundary
from lossodyssey.losses.boundary.hausdorff import HausdorffDT
from lossodyssey.losses.region.dice import Dice

Share = Annotated[float, Interval(0, 1, positive=True)]


@preset(paper="kervadec2019", aliases=("DiceBD",))
def DiceBoundary(alpha: Fraction | None = None, over: Share = 1.0) -> Sum:
    """Dice that hands over to the boundary loss: a Dice + (1 - a) Boundary (Loss odyssey, section 3.2).

    a falls from 1 to 0.01 over the first `over` of the training (0.1 is the paper's 0.01 per epoch of 1000 epochs);
    a number for `alpha` keeps it constant.
    """
    if alpha is not None:
        if over != 1:
            raise ValueError(f"DiceBoundary.over is {over}, but alpha={alpha} is constant; leave one of them out")
        return alpha * Dice() + (1 - alpha) * Boundary()
    return Ramp(1, 0.01, over) * Dice() + Ramp(0, 0.99, over) * Boundary()


@preset(paper="karimi2019", aliases=("DiceHD",), hides=("square",))
def DiceHausdorff(ratio: Literal["batch", "epoch"] = "epoch") -> Sum:
    """Dice plus Hausdorff loss, with Dice scaled to the size of the Hausdorff term (Loss odyssey, section 3.2).

    The weight of Dice is the mean of the Hausdorff term over the mean of Dice, without gradient, taken from the
    previous epoch (1 in the first) or from each batch.

    For outlines whose large errors matter, at several times the time of a step. The distances follow the prediction,
    so begin with a network that Dice trained, as the paper does, where the training is short.

    `square` means one thing in Dice and another in the Hausdorff loss: to set it, write the sum out.
    """
    return Ratio(ratio) * Dice() + HausdorffDT()
