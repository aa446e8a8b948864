"""Records of losses of persistent features, in terms of this library.

The references leave out the object that never dies, one per field: here its voxel of birth is taken out of the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from calls import Builder, Call, Case
from torch import Tensor

import lossodyssey as lo
from lossodyssey.kernels.induced import Matching
from lossodyssey.kernels.persistence import NEVER
from lossodyssey.losses.structure.betti_matching import BettiMatching
from lossodyssey.losses.structure.betti_prior import BettiPrior
from lossodyssey.losses.structure.persistence_matching import PersistenceMatching


def finite(pairs: dict[int, Tensor]) -> dict[int, Tensor]:
    return {dimension: found[found[:, 1] != NEVER] for dimension, found in pairs.items()}


class FiniteMatching(PersistenceMatching, abstract=True):
    """The matching of the features that die."""

    def pairs(self, field: Tensor, dimensions: Sequence[int]) -> dict[int, Tensor]:
        return finite(super().pairs(field, dimensions))


class FinitePrior(BettiPrior, abstract=True):
    """The prior on the features that die: one object less."""

    def pairs(self, field: Tensor, dimensions: Sequence[int]) -> dict[int, Tensor]:
        return finite(super().pairs(field, dimensions))


class FiniteBettiMatching(BettiMatching, abstract=True):
    """The induced matching of the features that die."""

    def matching(self, s: Tensor, g: Tensor, dimension: int) -> Matching:
        ours, theirs, partners = super().matching(s, g, dimension)
        if dimension > 0:
            return ours, theirs, partners
        # The last piece comes first, and is the first partner.
        return ours[1:], theirs[1:], partners[1:] - 1


def betti_matching(
    source: str,
    case: Case,
    *,
    filtration_type: str,
    push_unmatched_to_1_0: bool,
    barcode_length_threshold: float,
    topology_weights: list[float],
    sphere: bool,
    include_background: bool,
    softmax: bool,
    use_base_loss: bool,
) -> Call:
    assert not (push_unmatched_to_1_0 or barcode_length_threshold or sphere or use_base_loss) and softmax
    assert set(topology_weights) == {1.0}
    levels = {"superlevel": "upper", "bothlevels": "both"}[filtration_type]
    return Call(FiniteBettiMatching(levels=levels, connectivity="faces", background=include_background))


def wasserstein(
    source: str, case: Case, *, filtration_type: str, include_background: bool, softmax: bool, use_base_loss: bool
) -> Call:
    assert filtration_type == "superlevel" and softmax and not use_base_loss
    every = tuple(range(case.labels.ndim - 1))
    return Call(
        FiniteMatching(matching="wasserstein", connectivity="faces", dimensions=every, background=include_background)
    )


def prior(source: str, case: Case, *, prior: dict[str, list[int]], construction: str, value: str) -> Call:
    assert construction.startswith("0 (voxels as vertices") and value.startswith("A + Z without the MSE term")
    sets = [(tuple(int(label) for label in key.split(",")), numbers) for key, numbers in prior.items()]
    betti = tuple((labels, (max(numbers[0] - 1, 0), *numbers[1:])) for labels, numbers in sets)
    return Call(FinitePrior(betti=betti, connectivity="faces"))


def released_matching(source: str, case: Case, **params: object) -> Call:
    """The authors' code pulls the other way: the paper's rule has another value."""
    return Call(lo.PersistenceMatching(dimensions=(0,)))


BUILDERS: dict[str, Builder] = {
    "betti_matching": betti_matching,
    "hu_topo": released_matching,
    "hu_topo_wasserstein": wasserstein,
    "persistent_homology_prior": prior,
}
