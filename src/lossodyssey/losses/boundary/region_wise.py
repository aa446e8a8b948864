"""The region-wise loss: probability times a map."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.losses.loss import MapLoss


class RegionWise(MapLoss, paper="valverde2021", needs=("rectified",), aliases=("RRW",)):
    r"""Region-wise loss: probability times a map that rewards each class's inside and punishes its outside.

    $\frac{1}{NC} \sum_{i,c} s_{ic} M_{ic}$. The rectified map is $-d / \max d$ inside a class (d the distance to its
    outside) and +1 elsewhere, so the pull grows towards the middle of objects and is bounded.

    Stable on its own for imbalanced data, but its gradient is small: mind the learning rate, or add Dice or cross
    entropy. The lowest value depends on the shapes and is negative. With maps of the signed distance it is
    `Boundary(zero="none", background=True)`; with those of the Hausdorff loss `HausdorffDT(square=False)` up to a
    constant.
    """

    background: bool = True

    def is_linear(self) -> bool:
        return True

    def formula(self, s: Tensor, g: Tensor, m: Tensor) -> Tensor:
        return s * m
