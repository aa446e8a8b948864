"""The boundary difference over union: Dice or Jaccard, depending on the object's edge."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, Edge
from lossodyssey.core.fields import Fraction
from lossodyssey.core.kinds import OverlapLoss
from lossodyssey.losses.region.dice import mismatch


class BoundaryDoU(OverlapLoss, paper="sun2023", range=(0, 1), aliases=("BoundaryDifferenceOverUnion", "DoU")):
    r"""Boundary difference over union: the errors over the union less a part of the intersection.

    $\frac{Z + Y - 2 I}{Z + Y - (1 + \alpha) I}$ with $Z = \sum s^2$, $Y = \sum g^2$, $I = \sum s g$, and
    $\alpha = \min\left(2 \left(1 - \frac{C}{S}\right) - 1, \alpha_{max}\right)$, where C of the object's S voxels are
    at its edge.

    The larger an object, the more of the intersection is taken off, so that errors at its boundary are not drowned by
    its inside; tiny objects have $\alpha = -1$, where it is `Dice(square=True)`. It works alone, and without a
    distance transform. `batch=True` with `background=True` is the authors' code; `nonnegative=True` clips $\alpha$
    at 0 from below, as one of its copies does. An absent class, for which that code returns 1 without a gradient, is
    left out of the mean. `border` says whether the image's border makes an edge, as it does there. The paper's text
    was not at hand.
    """

    alpha_max: Fraction = 0.8
    nonnegative: bool = False
    border: bool = True
    absent: Literal["smooth", "skip"] = "skip"

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"edge": Edge(border=self.border)}

    def formula(self, s2: Tensor, g2: Tensor, sg: Tensor, g: Tensor, g_edge: Tensor) -> Tensor:
        alpha = 2 * mismatch(g_edge, g - g_edge, self.smooth) - 1
        alpha = alpha.clamp(0.0 if self.nonnegative else -1.0, self.alpha_max)
        return mismatch((1 - alpha) * sg, s2 + g2 - 2 * sg, self.smooth)
