"""Records of losses by objects and of partial labels, in terms of this library."""

from __future__ import annotations

from typing import Any

from calls import Builder, Call, Case
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import InverseSize


class SquaredSimilarity(lo.OverlapLoss, abstract=True):
    """The asymmetric similarity loss with squares below, as the reference of inverse weighting has it."""

    beta: float = 1.5

    def formula(self, sg: Tensor, s2: Tensor, g2: Tensor) -> Tensor:
        return 1 - (1 + self.beta**2) * sg / (self.beta**2 * g2 + s2)


def inverse_weighted(inner: str) -> Builder:
    """The reference of the cross entropy divides by the number of voxels, and not by the sum of the weights."""

    def build(
        source: str, case: Case, *, weights: str, component_connectivity: str, beta: float = 1.5, **_: Any
    ) -> Call:
        assert component_connectivity.startswith("full") and "[1, 2e5]" in weights.replace("[1,2e5]", "[1, 2e5]")
        losses = {"asl": SquaredSimilarity(beta=beta), "dice": lo.Dice(square=True, smooth=0), "bce": lo.CrossEntropy()}
        factor = float(InverseSize()(case.labels, 2).double().mean()) if inner == "bce" else 1.0
        return Call(factor * lo.InverseWeighting(loss=losses[inner]))

    return build


def leaf_dice(
    source: str,
    case: Case,
    *,
    labels_superset_map: dict[str, list[int]],
    partial_labels: str,
    squared: bool,
) -> Call:
    """The set of labels is put where label 0 and the hidden classes are."""
    assert squared
    ((_, members),) = labels_superset_map.items()
    order = [*members, *(label for label in range(case.classes) if label not in members)]

    def reordered(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return logits[:, order], case.one_hot[:, order]

    inner = lo.Dice(background=True, square=True, smooth=0)
    return Call(lo.Marginal(loss=inner, hidden=tuple(range(1, len(members))), form="leaf"), head=reordered)


def cells(
    source: str,
    case: Case,
    *,
    base: str,
    smooth: float,
    connectivity: str,
    ties: str,
    classes: str,
    units: str = "voxels",
    global_weight: float = 0.0,
) -> Call:
    assert connectivity == "full" and classes == "one against the rest" and ties.startswith("first")
    dice = lo.Dice(smooth=smooth)
    inner = {"Dice": dice, "CE": lo.CrossEntropy(), "DiceCE": dice + lo.CrossEntropy()}[base]
    loss = lo.ConnectedComponents(loss=inner)
    return Call(loss + global_weight * inner if global_weight else loss)


def generalised(source: str, case: Case, *, weight: str) -> Call:
    return Call(lo.GeneralizedDice())


BUILDERS: dict[str, Builder] = {
    "cc_ce": cells,
    "cc_dice": cells,
    "cc_dicece": cells,
    "generalized_dice_iw": generalised,
    "inverse_weighted_asl": inverse_weighted("asl"),
    "inverse_weighted_bce": inverse_weighted("bce"),
    "inverse_weighted_dice": inverse_weighted("dice"),
    "leaf_dice": leaf_dice,
}
