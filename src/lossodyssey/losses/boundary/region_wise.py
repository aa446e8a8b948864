"""The region-wise loss: probability times a map."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, RectifiedMap
from lossodyssey.core.kinds import LinearLoss


class RegionWise(LinearLoss, paper="valverde2021", aliases=("RRW",)):
    r"""Region-wise loss: probability times a map that rewards each class's inside and punishes its outside.

    $\frac{1}{NC} \sum_{i,c} s_{ic} M_{ic}$. The rectified map is $-d / \max d$ inside a class (d the distance to its
    outside) and +1 elsewhere, so the pull grows towards the middle of objects and is bounded.

    Stable on its own for imbalanced data, but its gradient is small: mind the learning rate, or add Dice or cross
    entropy. The lowest value depends on the shapes and is negative. With maps of the signed distance it is
    `Boundary(zero="none", background=True)`; with those of the Hausdorff loss `HausdorffDT(square=False)` up to a
    constant.
    """

    background: bool = True

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"m": RectifiedMap()}

    def formula(self, s_m: Tensor, g_m: Tensor) -> Tensor:
        return s_m
