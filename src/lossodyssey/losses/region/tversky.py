"""Tversky and its powers: separate weights for false positives and false negatives."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.core.fields import Fraction, NonNegative
from lossodyssey.core.kinds import OverlapLoss
from lossodyssey.losses.region.dice import mismatch


class Tversky(OverlapLoss, paper="salehi2017", range=(0, 1)):
    r"""Tversky loss: Dice with separate weights for false positives (alpha) and false negatives (beta).

    $1 - \frac{TP}{TP + \alpha FP + \beta FN}$ (Loss odyssey, Eq. 14). The ratio is made per class and then averaged;
    `pooled=True` is one ratio of the sums over all classes, as Eq. 14 is printed.

    beta > alpha favours sensitivity, for small objects that are easily missed. alpha = beta = 1/2 is `Dice` (with
    twice the `smooth`), alpha = beta = 1 is `Jaccard`.
    """

    alpha: NonNegative = 0.3
    beta: NonNegative = 0.7

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return mismatch(tp, self.alpha * fp + self.beta * fn, self.smooth)


class FocalTversky(OverlapLoss, paper="abraham2019", range=(0, 1), aliases=("FTL",)):
    r"""Focal Tversky loss: a power of the Tversky loss per class, which stresses the classes that are still bad.

    $\left(1 - \frac{TP}{TP + \alpha FP + \beta FN}\right)^q$ (Loss odyssey, Eq. 16, with $q = 1/\gamma$,
    $\gamma = 4/3$). The name `exponent` avoids the two conventions for gamma. The power is taken per class
    and then averaged; `pooled=True` takes that of one ratio of the sums over all classes. `exponent=1` is `Tversky`.
    """

    alpha: NonNegative = 0.3
    beta: NonNegative = 0.7
    exponent: Fraction = 0.75

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return power(mismatch(tp, self.alpha * fp + self.beta * fn, self.smooth), self.exponent)


def power(x: Tensor, exponent: float) -> Tensor:
    """Return x to a power below 1, with value 0 and a finite derivative at 0."""
    # x^q is x times x^(q - 1): the clamp bounds its derivative, which is infinite at 0, and leaves its value there.
    return x * x.clamp(min=1e-8) ** (exponent - 1)


class AsymmetricSimilarity(OverlapLoss, paper="hashemi2019", range=(0, 1), aliases=("Asym",)):
    r"""Asymmetric similarity loss: one minus the F-beta score.

    $1 - \frac{TP}{TP + \frac{1}{1+\beta^2} FP + \frac{\beta^2}{1+\beta^2} FN}$ (Loss odyssey, Eq. 17, which lacks the
    leading "1 -"). The ratio is made per class and then averaged; `pooled=True` is one ratio of the sums over all
    classes.

    beta > 1 weighs false negatives more. Equal to `Tversky(alpha=1/(1+beta**2), beta=beta**2/(1+beta**2))`; beta = 1
    is `Dice` (with twice the `smooth`).
    """

    beta: NonNegative = 1.5

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        share = self.beta**2 / (1 + self.beta**2)
        return mismatch(tp, (1 - share) * fp + share * fn, self.smooth)
