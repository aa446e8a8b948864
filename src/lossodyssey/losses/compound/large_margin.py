"""Any loss with a margin for rare classes, and the Dice form of the asymmetric large-margin loss."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.kinds import OverlapLoss, ratio
from lossodyssey.core.loss import Loss, Sum
from lossodyssey.core.pair import Pair
from lossodyssey.core.presets import preset
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy
from lossodyssey.losses.distribution.margin import Classes, Margin, check_rare


class LargeMargin(ViewLoss, paper="li2021"):
    r"""Large margin: any loss on logits from which a margin was taken where the true class is rare.

    $L(z - m r g, g)$, with r = 1 for the classes `rare`, all foreground where it is empty.

    For rare foreground: its voxels must win by the margin before the loss is content. `margin=0` is the inner loss; of
    `CrossEntropy` it is `AsymmetricLargeMargin(gamma=0)`. The rule is that of the authors' code; the paper was not
    read.
    """

    loss: Loss = CrossEntropy()
    margin: Margin = 1.0
    rare: Classes = ()

    def views(self, pair: Pair) -> list[View]:
        check_rare(type(self).__name__, self.rare, pair)
        first = pair.first_class(False)
        rare = [float(c in self.rare if self.rare else c >= first) for c in range(pair.classes)]
        moved = pair.known_z - self.margin * pair.g * pair.g.new_tensor(rare)[:, None]
        return [(1.0, pair.view(self.inner, logits=moved.reshape(pair.logits.shape)))]


class AsymmetricFocalDice(
    OverlapLoss, paper="li2021", range=(0, 1), without=("background", "pooled"), aliases=("AsymFocalDice",)
):
    r"""Asymmetric focal Dice: Dice whose missed voxels count little once they are nearly found, except in rare classes.

    $\frac{FP + \sum (1 - s)^{\gamma (1 - r)} (g - s)^+}{2\,TP + FP + FN}$ per class, with r = 1 for the classes `rare`,
    all foreground where it is empty: it is `Dice` then.

    `gamma=0` is `Dice`. The formula is that of the authors' code; the paper was not read.
    """

    gamma: NonNegative = 4.0
    rare: Classes = ()

    def lack(self, s: Tensor, g: Tensor) -> Tensor:
        """Return the probability that each voxel lacks, with its focal weight."""
        exponents = [0.0 if c in self.rare or not self.rare else self.gamma for c in range(s.shape[1])]
        return (g - s).clamp(min=0) * (1 - s) ** s.new_tensor(exponents)[:, None]

    def formula(self, tp: Tensor, fp: Tensor, fn: Tensor, lack: Tensor) -> Tensor:
        return ratio(fp + lack, 2 * tp + fp + fn + self.smooth)


@preset(paper="li2021", hides=("loss",))
def AsymmetricLargeMarginDice(margin: Margin = 1.0, gamma: NonNegative = 4.0, rare: Classes = ()) -> Sum:
    """Asymmetric large-margin focal Dice: a margin for rare classes, focal weights for missed voxels of the others.

    The Dice form of `AsymmetricLargeMargin`, beside which it stands in the paper; pooled over the batch.
    """
    return 1 * LargeMargin(loss=AsymmetricFocalDice(gamma=gamma, rare=rare, batch=True), margin=margin, rare=rare)
