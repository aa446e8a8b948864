"""Dice by the cosine of the angle between prediction and truth, sharpened."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.kinds import TINY, OverlapLoss
from lossodyssey.core.schedules import FromDice


class TvMFDice(
    OverlapLoss, paper="kato2023", range=(0, 4), monotone=False, without=("smooth",), aliases=("tvMFDice", "TvMF")
):
    r"""t-vMF Dice loss: one minus a similarity that is high only for small angles between prediction and truth.

    $(1 - \phi)^2$ with $\phi = \frac{1 + \cos}{1 + \kappa (1 - \cos)} - 1$ and
    $\cos = \frac{\sum s g}{\|s\|_2 \|g\|_2}$ per class.

    `kappa` is the concentration, one number or one for each class that counts: the larger it is, the less a rough
    overlap is rewarded. In the paper that of a class follows its Dice score on the validation set, from 0 up to 32:
    `kappa=FromDice(32)`, set once per epoch. The background then follows the mean of the others, since engines score
    the foreground alone, and a training without validation data is refused.
    `kappa=0, power=1` is one minus the cosine. The angle does not change with the scale of s, so that a faint mask is
    as good as a sure one: it needs the other classes, or a partner. A class without true
    voxels has no angle: `absent="skip"` leaves it out, "smooth" gives it a cosine of 0. The formula is that of the
    authors' code, whose norms of volumes leave one axis out; the paper was not read.
    """

    kappa: NonNegative | tuple[NonNegative, ...] | FromDice = 32.0
    power: Literal[1, 2] = 2
    absent: Literal["smooth", "skip"] = "skip"

    def formula(self, sg: Tensor, s2: Tensor, g2: Tensor) -> Tensor:
        # Above a floor, because the derivative by a smaller sum would leave the range of float32.
        cosine = sg / (s2 * g2).clamp(min=TINY) ** 0.5
        similarity = (1 + cosine) / (1 + self.concentration(sg) * (1 - cosine)) - 1
        return (1 - similarity) ** self.power

    def concentration(self, sums: Tensor) -> float | Tensor:
        """Return the concentration of all classes, or those of each.

        Raises:
            ValueError: another number of them than classes that count.
        """
        if isinstance(self.kappa, float):
            return self.kappa
        if isinstance(self.kappa, FromDice):
            return self.kappa(self.get_buffer("dice"), sums)
        if len(self.kappa) != sums.shape[1]:
            raise ValueError(
                f"TvMFDice.kappa is {self.kappa}, but {sums.shape[1]} classes count: expected one number, or one for "
                "each of them (with background=True the first is that of the background)"
            )
        return sums.new_tensor(self.kappa)
