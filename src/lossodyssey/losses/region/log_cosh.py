"""The logarithm of the hyperbolic cosine of a loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import ViewLoss
from lossodyssey.losses.region.dice import Dice

GREATEST = math.log(math.cosh(1))


class LogCosh(ViewLoss, paper="jadon2020", range=(0, GREATEST), aliases={"LogCoshDice": {}}):
    r"""Log-cosh of a loss: half its square near 0, and nearly linear towards 1.

    $\log \frac{e^x + e^{-x}}{2}$ of a loss x in [0, 1].

    For a smoother end of training with Dice. Its gradient is $\tanh x$ times that of x: at most 0.76 of it, and it
    vanishes towards the optimum. A loss that exceeds 1 is refused, because the transform was made for the range of Dice
    and would leave the rest of a loss as it is. The formula is that of the author's code; the paper was not read.

    Raises:
        ValueError: a loss whose values are not known to lie in [0, 1].
    """

    loss: Loss = Dice()

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.loss.bounds()
        if low < 0 or high > 1:
            raise ValueError(
                f"LogCosh.loss is {self.loss!r} with values in [{low:g}, {high:g}], expected a loss in [0, 1] such as "
                "Dice(), Jaccard() or Tversky(); add others beside it: LogCosh() + CrossEntropy()"
            )

    def outer(self, value: Tensor, pair: Pair) -> Tensor:
        # cosh x = 1 + 2 sinh(x/2)^2: nothing cancels near 0.
        return torch.log1p(2 * torch.sinh(value / 2) ** 2)

    def bounds(self) -> tuple[float, float]:
        low, high = (math.log(math.cosh(end)) for end in self.loss.bounds())
        return low, high
