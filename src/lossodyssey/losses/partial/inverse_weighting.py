"""Weights of voxels by which every object counts alike, however small, in any loss that has weights of voxels."""

from __future__ import annotations

from lossodyssey.auxiliary import Auxiliary, InverseSize
from lossodyssey.core.kinds import LinearLoss, MapLoss, OverlapLoss, VoxelLoss
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.losses.compound.sums import DiceCE

WEIGHTED = (VoxelLoss, OverlapLoss, LinearLoss, MapLoss, ViewLoss)
"""The kinds of loss that add up voxels times their weights; others see only whether a weight is above 0."""


class InverseWeighting(ViewLoss, paper="shirokikh2020", local=False, aliases=("IW",)):
    r"""Inverse weighting: any loss with voxels weighted by the inverse of the size of their object.

    $w_i = \frac{|\Omega|}{(J + 1) |O_i|}$, with $O_i$ the object of voxel i among the J components of all foreground
    (full connectivity); the background is one more.

    For lesions of very different size: every lesion has the same total weight, and so has the background.
    `clip` limits the weights to those of the released code, whose lower limit lifts the weight of a large background to
    1; `None` is the paper, whose weights are 1 on average. A sample without foreground has weights of 1. Means divide
    by the sum of the weights. Components are those of the patch. The paper was not read.

    Raises:
        ValueError: a loss that sees only whether the weight of a voxel is above 0.
    """

    loss: Loss = DiceCE()
    clip: tuple[float, ...] | None = (1.0, 2e5)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.auxiliaries()  # checks the clip
        for leaf in self.inner:
            if not isinstance(leaf, WEIGHTED):
                raise ValueError(
                    f"InverseWeighting.loss has the term {leaf!r}, which sees only whether the weight of a voxel is "
                    "above 0, expected losses of sums over voxels, such as CrossEntropy() or Dice()"
                )

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"weight": InverseSize(clip=self.clip)}  # type: ignore[arg-type]

    def views(self, pair: Pair) -> list[View]:
        (weight,) = self.maps(pair)
        return [(1.0, pair.weighted(weight, self.inner))]
