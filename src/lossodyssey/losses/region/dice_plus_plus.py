"""Dice and its relatives with powers of each voxel's error."""

from __future__ import annotations

from math import inf
from typing import Annotated

from torch import Tensor

from lossodyssey.core.fields import Interval, NonNegative, Positive
from lossodyssey.core.kinds import OverlapLoss, ratio
from lossodyssey.losses.region.dice import mismatch

Power = Annotated[float, Interval(1, 10)]
"""Below 1 the derivative at a right voxel would be infinite."""


class DicePlusPlus(OverlapLoss, paper="yeung2023", range=(0, 1), aliases=("DSCPlusPlus",)):
    r"""Dice++ loss: Dice whose errors are raised to a power voxel by voxel, so that small ones count little.

    $1 - \frac{2\,TP}{2\,TP + \sum |s - g|^q}$.

    For Dice's overlap without its overconfidence: the gradient of a nearly right voxel vanishes, and nothing pushes its
    probability on to 0 or 1. `q=1` is `Dice`; on hard predictions every q is. The formula is that of the authors' code
    without its clipping of truth and prediction; the paper was not read.
    """

    q: Power = 2.0

    def errors(self, s: Tensor, g: Tensor) -> Tensor:
        """Return the error of each voxel."""
        return (s - g).abs() ** self.q

    def formula(self, tp: Tensor, errors: Tensor) -> Tensor:
        return mismatch(2 * tp, errors, self.smooth)


class TverskyPlusPlus(OverlapLoss, paper="yeung2023", range=(0, 1)):
    r"""Tversky++ loss: `DicePlusPlus` with separate weights for false positives (alpha) and false negatives (beta).

    $1 - \frac{TP}{TP + \alpha \sum ((s - g)^+)^q + \beta \sum ((g - s)^+)^q}$.

    `q=1` is `Tversky`; alpha = beta = 1/2 is `DicePlusPlus` (with half the `smooth`). The formula is that of the
    authors' code; the paper was not read.
    """

    alpha: NonNegative = 0.3
    beta: NonNegative = 0.7
    q: Power = 2.0

    def excess(self, s: Tensor, g: Tensor) -> Tensor:
        """Return the probability that each voxel has too much."""
        return (s - g).clamp(min=0) ** self.q

    def lack(self, s: Tensor, g: Tensor) -> Tensor:
        """Return the probability that each voxel lacks."""
        return (g - s).clamp(min=0) ** self.q

    def formula(self, tp: Tensor, excess: Tensor, lack: Tensor) -> Tensor:
        return mismatch(tp, self.alpha * excess + self.beta * lack, self.smooth)


class NoiseRobustDice(OverlapLoss, paper="wang2020", range=(0, inf), monotone=False, aliases=("NRDice",)):
    r"""Noise-robust Dice loss: a power of the errors over the squared sizes, between absolute error and squared Dice.

    $\frac{\sum |s - g|^\gamma}{\sum s^2 + \sum g^2}$.

    For noisy labels: the smaller gamma, the less a voxel with a large error counts beside the many with small ones.
    `gamma=2` is `Dice(square=True)`. Below 2 a faint prediction of an absent class costs more than 1. The squares are
    remembered, not read in the paper; the code of PyMIC has sums in their place (`ReleasedNoiseRobustDice`).
    """

    gamma: Annotated[float, Interval(1, 2)] = 1.5
    smooth: Positive = 1e-5

    def errors(self, s: Tensor, g: Tensor) -> Tensor:
        """Return the error of each voxel."""
        return (s - g).abs() ** self.gamma

    def formula(self, errors: Tensor, s2: Tensor, g2: Tensor) -> Tensor:
        return ratio(errors, s2 + g2 + self.smooth)
