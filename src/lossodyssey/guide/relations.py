"""The relations between losses, one table that the map of losses draws and the tests hold.

Each says that two losses have equal values and equal gradients, for the labels it names. Presets need no row here:
what they are the sum of stands in the atlas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.atlas import OWN, Card, atlas
from lossodyssey.core.loss import Loss
from lossodyssey.core.text import parse

Labels = Literal["any", "two classes", "one object"]
"""The labels for which a relation holds: any, one sample of two classes, or such with one object."""

THROUGH: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "x": lambda x: x,
        "2 x / (1 + x)": lambda x: 2 * x / (1 + x),
        "5 x / (1 + 4 x)": lambda x: 5 * x / (1 + 4 * x),
        "log cosh x": lambda x: x.cosh().log(),
        "-log(1 - x)": lambda x: -torch.log1p(-x),
    }
)
"""The functions of a loss x that are another loss, by their text."""


@dataclass(frozen=True)
class Relation:
    """The loss `left` equals `right`, or `through` it, in words `says`.

    With `given` the left loss is not left to make its auxiliary values itself: the value of the first name is one of
    another definition, or a number everywhere.
    """

    left: str
    right: str
    says: str
    through: str = "x"
    labels: Labels = "any"
    given: tuple[str, str | float] | None = None

    @property
    def ends(self) -> tuple[str, tuple[str, ...]]:
        """The names of the left loss and of the losses at the right: those inside a view, or the terms of a sum."""
        return name_of(parse(self.left)), tuple(name_of(leaf) for _, leaf in parse(self.right).parts)

    @property
    def told(self) -> str:
        """The relation as a line of Markdown."""
        x = f"`{self.right}`" if self.through == "x" else f"{self.through}, x = `{self.right}`"
        return f"`{self.left}` is {x}: {self.says}"


def name_of(loss: Loss) -> str:
    """Return the name under which the atlas files a loss."""
    return repr(loss).partition("(")[0]


RELATIONS = (
    # Cross entropy and what becomes of it
    Relation("Focal(gamma=0)", "CrossEntropy()", "without the power every voxel counts alike"),
    Relation("TopK(percent=100)", "CrossEntropy()", "all voxels are kept"),
    Relation("TopKThreshold(threshold=1)", "CrossEntropy()", "all voxels are below the threshold"),
    Relation("OhemCE(threshold=1)", "CrossEntropy()", "all voxels are below the threshold"),
    Relation("OhemCE(threshold=0, min_kept=0.2)", "TopK(percent=20)", "only the kept share is left"),
    Relation("OhemCE(threshold=0.6, min_kept=0)", "TopKThreshold(threshold=0.6)", "only the threshold is left"),
    Relation("ExponentialCE(exponent=1)", "CrossEntropy()", "the power is 1"),
    Relation("PolyCE(epsilon=0)", "CrossEntropy()", "no coefficient is changed"),
    Relation("PolyFocal(epsilon=0)", "Focal()", "no coefficient is changed"),
    Relation("PolyFocal(gamma=0)", "PolyCE()", "without the power every voxel counts alike"),
    Relation("LabelSmoothing(smoothing=0)", "CrossEntropy()", "the truth is not smoothed"),
    Relation("SpatialLabelSmoothing(sigma=0.01)", "CrossEntropy()", "the Gaussian reaches no neighbour"),
    Relation("MarginLogits(penalty=0)", "CrossEntropy()", "the penalty is off"),
    Relation("MarginLogits(margin=1000)", "CrossEntropy()", "no logit is that far behind"),
    Relation("NeighbourAware(penalty=0)", "CrossEntropy()", "the penalty is off"),
    Relation("AsymmetricLargeMargin(margin=0, gamma=0)", "CrossEntropy()", "neither margin nor power"),
    Relation("LargeMargin(margin=0)", "CrossEntropy()", "the margin is 0"),
    Relation("LargeMargin()", "AsymmetricLargeMargin(gamma=0)", "the power is 0, the margin stays"),
    Relation("LargeMargin(rare=(2,))", "AsymmetricLargeMargin(gamma=0, rare=(2,))", "the power is 0, the margin stays"),
    Relation("DistancePenalisedCE()", "CrossEntropy()", "no voxel is penalised", given=("penalty", 0.0)),
    Relation("UNetWeightMapCE()", "CrossEntropy()", "all voxels weigh 1", given=("border", 1.0)),
    Relation("StructuralSimilarity(ce=1)", "CrossEntropy()", "the structural term has the weight 0"),
    # Dice, Jaccard, Tversky
    Relation("Tversky(alpha=0.5, beta=0.5, smooth=0.1)", "Dice(smooth=0.2)", "both errors count a half"),
    Relation("Tversky(alpha=1, beta=1)", "Jaccard()", "both errors count whole"),
    Relation("Jaccard(smooth=0)", "Dice(smooth=0)", "of one class", "2 x / (1 + x)", "two classes"),
    Relation("AsymmetricSimilarity(beta=2)", "Tversky(alpha=0.2, beta=0.8)", "the weights of errors add up to 1"),
    Relation("AsymmetricSimilarity(beta=1, smooth=0.1)", "Dice(smooth=0.2)", "the F1 score is Dice"),
    Relation("FocalTversky(exponent=1)", "Tversky()", "the power is 1"),
    Relation("DicePlusPlus(q=1)", "Dice()", "the power is 1"),
    Relation("TverskyPlusPlus(q=1)", "Tversky()", "the power is 1"),
    Relation(
        "TverskyPlusPlus(alpha=0.5, beta=0.5, smooth=0.1)", "DicePlusPlus(smooth=0.2)", "both errors count a half"
    ),
    Relation("NoiseRobustDice(gamma=2)", "Dice(square=True)", "the power is 2"),
    Relation("DiceSemimetric(batch=True)", "Dice(batch=True)", "they differ for soft labels only"),
    Relation("JaccardMetric()", "Jaccard()", "they differ for soft labels only"),
    Relation(
        "GeneralizedDice(weight_type='uniform')",
        "Dice(background=True, batch=True, pooled=True, smooth=0)",
        "all classes weigh the same",
    ),
    Relation("PenaltyGeneralizedDice(k=0)", "GeneralizedDice()", "the penalty is off"),
    Relation("PenaltyGeneralizedDice(k=4)", "GeneralizedDice()", "a function of it", "5 x / (1 + 4 x)", "two classes"),
    Relation("LogCosh(loss=Dice())", "Dice()", "the transform of one value", "log cosh x", "two classes"),
    Relation(
        "LogarithmicDice(exponent=1, smooth=1e-12, background=False)",
        "Dice(smooth=0)",
        "of one class",
        "-log(1 - x)",
        "two classes",
    ),
    Relation("GeneralizedWassersteinDice()", "Dice()", "all classes are equally far apart", labels="two classes"),
    Relation("AsymmetricFocalDice(gamma=0, rare=(1,))", "Dice()", "without the power every miss counts alike"),
    Relation("AsymmetricLargeMarginDice(margin=0)", "Dice(batch=True)", "neither margin nor power"),
    # The Unified Focal family
    Relation("SymmetricFocal(delta=0.5)", "0.5 * Focal()", "foreground and background weigh the same"),
    Relation("SymmetricFocal(gamma=0)", "CrossEntropy(class_weights=(0.3, 0.7, 0.7))", "without the power"),
    Relation("AsymmetricFocal(gamma=0)", "SymmetricFocal(gamma=0)", "no power, no asymmetry"),
    Relation(
        "SymmetricFocalTversky()",
        "FocalTversky(exponent=0.25, background=True, smooth=1e-7)",
        "alpha = 1 - delta, beta = delta, exponent = 1 - gamma",
    ),
    Relation("SymmetricFocalTversky(gamma=0)", "Tversky(background=True, smooth=1e-7)", "the power is 1"),
    Relation("AsymmetricFocalTversky(gamma=0)", "SymmetricFocalTversky(gamma=0)", "no power, no asymmetry"),
    Relation("AsymmetricUnifiedFocal(gamma=0)", "SymmetricUnifiedFocal(gamma=0)", "no power, no asymmetry"),
    Relation(
        "SymmetricUnifiedFocal(region_weight=1, delta=0.5, gamma=0)",
        "Dice(background=True, smooth=2e-7)",
        "the region part alone, both errors alike",
    ),
    Relation(
        "SymmetricUnifiedFocal(region_weight=1, gamma=0)",
        "Tversky(alpha=0.4, beta=0.6, background=True, smooth=1e-7)",
        "the region part alone, without the power",
    ),
    Relation(
        "SymmetricUnifiedFocal(region_weight=1, delta=0.7, gamma=0.25)",
        "FocalTversky(background=True, smooth=1e-7)",
        "the region part alone",
    ),
    Relation(
        "SymmetricUnifiedFocal(region_weight=0, delta=0.5, gamma=0)", "0.5 * CrossEntropy()", "the focal part alone"
    ),
    Relation(
        "SymmetricUnifiedFocal(region_weight=0, delta=0.5, gamma=0.9)", "0.5 * Focal(gamma=0.9)", "the focal part alone"
    ),
    Relation(
        "SymmetricUnifiedFocal(region_weight=0, gamma=0)",
        "CrossEntropy(class_weights=(0.4, 0.6, 0.6))",
        "the focal part alone, without the power",
    ),
    Relation(
        "SymmetricUnifiedFocal(delta=0.5, gamma=0)",
        "0.5 * Dice(background=True, smooth=2e-7) + 0.25 * CrossEntropy()",
        "both parts, both errors alike",
    ),
    Relation("Combo()", "0.25 * CrossEntropy() + 0.5 * Dice(batch=True, smooth=1)", "both errors weigh the same"),
    # Boundaries
    Relation("DiceBoundary(alpha=1)", "Dice()", "where it begins"),
    Relation("DiceBoundary(alpha=0)", "Boundary()", "where it ends"),
    Relation(
        "HausdorffDT(alpha=1, one_sided=True, square=False, background=True)",
        "Boundary(zero='none', background=True, offset=True)",
        "without the square it is linear in s",
    ),
    Relation(
        "RegionWise()",
        "Boundary(zero='none', background=True)",
        "with the signed distance as its map",
        given=("rectified", "phi[zero=none]"),
    ),
    # Labels by frequency, objects one by one, classes without annotations
    Relation("MarginalL1()", "AverageCalibrationError(bins=1, absent='count')", "one bin holds all voxels"),
    Relation("Blobs(loss=Dice())", "Dice()", "there is one object", labels="one object"),
    Relation("ConnectedComponents(loss=DiceCE())", "DiceCE()", "there is one object", labels="one object"),
    Relation("InverseWeighting()", "DiceCE()", "all voxels weigh 1", given=("inverse_size", 1.0)),
    Relation("Marginal(loss=DiceCE())", "DiceCE()", "every class is annotated"),
    Relation("Exclusion(penalty=0)", "Marginal()", "the penalty is off"),
    Relation("SCNP(size=1)", "DiceCE()", "a box of one voxel has no neighbours"),
)
"""The relations beside those of presets to their parts, each held by a test."""


def presets() -> tuple[Relation, ...]:
    """Return for every preset of the atlas that it is the sum it stands for."""
    cards = [card for card in drawn() if card.preset]
    return tuple(Relation(f"{card.name}()", card.same_as, "the sum that it stands for") for card in cards)


def drawn() -> tuple[Card, ...]:
    """Return the losses that the map shows: all of the package but the variants of released code."""
    return tuple(card for card in atlas() if card.category not in ("as_released", OWN))


@cache
def relations() -> tuple[Relation, ...]:
    """Return every relation: those of the table, and of presets."""
    return (*RELATIONS, *presets())
