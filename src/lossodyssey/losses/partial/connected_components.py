"""Losses in the surroundings of every object, so that each counts alike and must be found where it is."""

from __future__ import annotations

from collections.abc import Iterator

from lossodyssey.auxiliary import Auxiliary, Cells
from lossodyssey.core.kinds import OverlapLoss, VoxelLoss
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.losses.compound.sums import DiceCE

SUMMED = ("batch", "pooled", "class_weights", "background")
"""Fields of an inner loss that would add up what the cells keep apart, or ask for a class that they do not have."""


class ConnectedComponents(
    ViewLoss, paper="bouteille2025", local=False, one_graph=False, aliases=("CCLoss", "CCDiceCE")
):
    r"""Connected-components loss: the mean of a loss over the surroundings of the true objects.

    $\frac{1}{K} \sum_k L(s, g \mid R_k)$, with $R_k$ the voxels to which component k of K is the nearest, per sample
    and class against all others, then the mean. A class without components has one cell, the whole sample.

    For lesions of very different size: a missed small lesion costs 1/K however small it is, and a false alarm costs in
    the cell of the nearest lesion alone, where `Blobs` counts it for every lesion. With one component it is the inner
    loss of each class against all others; for two classes that is the inner loss itself. All cells are added up at
    once, whatever their number. Distances are in voxels, or in the units of the call's spacing. The rule is that of
    published code; of the paper the abstract was read.

    Raises:
        ValueError: an inner loss that is not a formula of counts or voxels, or that adds up samples or classes.
    """

    loss: Loss = DiceCE()

    def __post_init__(self) -> None:
        super().__post_init__()
        for leaf in self.inner:
            if reason := kept_from_cells(leaf):
                raise ValueError(f"ConnectedComponents.loss has the term {leaf!r}, {reason}")

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"cells": Cells()}

    def views(self, pair: Pair) -> Iterator[View]:
        (cells,) = self.maps(pair)
        yield 1.0, pair.against_rest().in_cells(cells[:, pair.first_class(False) :] - 1, self.inner)


def kept_from_cells(leaf: Loss) -> str:
    """Return why a term cannot be made of sums by cells; nothing where it can."""
    if not isinstance(leaf, OverlapLoss | VoxelLoss) or leaf.auxiliaries():
        return (
            "which cannot be added up by cells, expected overlap and voxel losses without maps, such as Dice() or "
            "Focal(); Blobs takes any loss"
        )
    name = next((name for name in SUMMED if getattr(leaf, name, None)), None)
    return f"but each cell has one sample and one class: leave {name} out" if name else ""
