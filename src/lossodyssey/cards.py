"""Facts that a metric's name tells: which way it points, its range, and the difference that matters.

Plain data that scoring, ranking and reading of tables share. A measure that is not listed here brings its own card
(`metrics.measure`), and its direction travels in the column `better` of the table.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "nearer 0"]

# A value outside its metric's range by less than this may come of rounding or simulation; one by more has another unit
# (percent) or stands for nothing (-1).
EXCESS = 0.5


@dataclass(frozen=True, slots=True)
class Card:
    """The facts of one metric.

    `margin` is the largest difference that does not matter, `clear` an amount by which a case is clearly worse, NaN
    where it is not known.
    """

    better: Better
    unit: str = ""
    range: tuple[float, float] = (0.0, math.inf)
    margin: float = 0.0
    clear: float = math.nan

    @property
    def best(self) -> float:
        """Value of a perfect case."""
        return self.range[1] if self.better == "higher" else 0.0

    @property
    def worst(self) -> float:
        """Value that no case can fall below; NaN where the range has no such end."""
        end = self.range[0] if self.better == "higher" else self.range[1]
        return end if math.isfinite(end) else math.nan

    @property
    def is_share(self) -> bool:
        """Whether values lie in [0, 1], so that tables may hold them in percent."""
        return self.range == (0.0, 1.0)


SHARE = Card("higher", range=(0.0, 1.0), margin=0.01, clear=0.1)
COEFFICIENT = Card("higher", range=(-1.0, 1.0), margin=0.01, clear=0.1)
DISTANCE = Card("lower", "mm", margin=1.0, clear=10.0)
ERROR = Card("lower", margin=0.01, clear=0.1)
ERROR_SHARE = Card("lower", range=(0.0, 1.0), margin=0.01, clear=0.1)
COUNT = Card("lower", "count", margin=0.5, clear=2.0)
VOLUME = Card("lower", "mm^n")
SIGNED_VOLUME = Card("nearer 0", "mm^n", range=(-math.inf, math.inf))
SIGNED_ERROR = Card("nearer 0", range=(-1.0, math.inf), margin=0.01, clear=0.1)

KINDS = (
    (SHARE, "DSC IoU NSD NSD_voxel clDice boundary_F1 boundary_IoU PQ SQ RQ F1 accuracy AUC specificity NPV"),
    (SHARE, "precision recall lesion_sensitivity lesion_precision lesion_recall lesion_F1 balanced_accuracy"),
    (COEFFICIENT, "kappa MCC"),
    (DISTANCE, "HD HD_voxel HD95 HD95_pooled HD95_surfel HD95_voxel ASSD ASSD_voxel MASD MASD_voxel ASD MSD distance"),
    (DISTANCE, "ASD_truth_to_pred ASD_pred_to_truth"),
    (ERROR, "NLL AVD relative_absolute_volume_error Brier"),
    (ERROR_SHARE, "ECE MCE VOE FPR FNR"),
    (COUNT, "betti_error false_positives false_negatives"),
    (VOLUME, "absolute_volume_error"),
    (SIGNED_VOLUME, "volume_error"),
    (SIGNED_ERROR, "relative_volume_error"),
)
CARDS: dict[str, Card] = {name: card for card, names in KINDS for name in names.split()}

ALIASES = {
    "DSC": "dice, dice score, dice coefficient, dice similarity, dice similarity coefficient, sorensen dice",
    "IoU": "jaccard, jaccard index, jaccard score, intersection over union",
    "NSD": "surface dice, normalised surface dice, normalised surface distance, NSDC",
    "recall": "sensitivity, true positive rate, TPR",
    "precision": "positive predictive value, PPV",
    "specificity": "true negative rate, TNR",
    "clDice": "centerline dice, centreline dice",
    "boundary_F1": "BF1, BF score",
    "boundary_IoU": "BIoU",
    "AUC": "AUROC, ROC AUC",
    "accuracy": "acc",
    "kappa": "cohens kappa",
    "HD": "hausdorff, hausdorff distance",
    "HD95": "95HD, HD95%, 95% HD, hausdorff95, hausdorff distance 95, 95% hausdorff distance, robust hausdorff",
    "ASSD": "average symmetric surface distance",
    "ASD": "average surface distance",
    "MASD": "mean average surface distance",
    "MSD": "mean surface distance",
    "relative_volume_error": "RAVD, RVD, RVE, relative volume difference",
    "absolute_volume_error": "absolute volume difference",
    "AVD": "average volume difference",
    "VOE": "volumetric overlap error",
    "ECE": "expected calibration error",
    "NLL": "negative log likelihood",
    "Brier": "brier score",
    "betti_error": "betti",
    "lesion_F1": "lesion wise F1",
}
TOLERANT = ("NSD", "NSD_voxel", "boundary_F1", "boundary_IoU")

_PERCENT = re.compile(r"[\s_]*([(\[]\s*(%|percent)\s*[)\]]|%|[\s_]percent|[\s_]pct)$", re.IGNORECASE)
_UNIT = re.compile(r"[\s_]*[(\[]\s*mm\s*[)\]]$|[\s_]mm$", re.IGNORECASE)
_TOLERANCE = re.compile(r"\s*@.*$|[\s_]*[(\[]?\d+([.,]\d+)?\s*mm[)\]]?$", re.IGNORECASE)


def fold(name: str) -> str:
    """Return the name without differences of spelling: capitals, spaces, dashes, a z for an s."""
    return re.sub(r"[\s_\-.]+", "", name.casefold()).replace("normaliz", "normalis")


FOLDED = {fold(name): name for name in CARDS} | {
    fold(alias): name for name, aliases in ALIASES.items() for alias in aliases.split(",")
}


def canonical(metric: str) -> str:
    """Return the name that `CARDS` lists for a metric as people write it, or "" where there is none.

    A tolerance (`NSD@2`, `NSD 2 mm`), a unit (`HD95 (mm)`) and a percent sign (`DSC (%)`) may follow the name. Nothing
    else may: of `dice_loss` or `IoU_std` the first word says nothing.
    """
    # The whole name first: HD95% is a measure, not a HD95 in percent.
    bare = FOLDED.get(fold(metric)) or FOLDED.get(fold(_UNIT.sub("", without_percent(metric))), "")
    if bare:
        return bare
    # Other measures do not take a tolerance: "IoU 2 mm" is refused rather than read as IoU.
    tolerant = FOLDED.get(fold(_TOLERANCE.sub("", without_percent(metric))), "")
    return tolerant if tolerant in TOLERANT or "@" in metric else ""


def find_card(metric: str) -> Card | None:
    """Return the card of a metric as people write it; None where the name is not known."""
    return CARDS.get(canonical(metric))


def without_percent(metric: str) -> str:
    """Return the name without a percent sign that is the unit of the values; that of `HD95%` is part of the name."""
    # An alias that ends in a percent sign is a name.
    return metric if fold(metric) in FOLDED else _PERCENT.sub("", metric).strip()


def spelled(metric: str) -> str:
    """Return the name as `CARDS` spells it, and as it is where it is not known or says more: a tolerance, percent."""
    # A tolerance stays in the name: NSD@2 and NSD@1 are two measures.
    exact = FOLDED.get(fold(metric)) or FOLDED.get(fold(_UNIT.sub("", metric)))
    return exact or metric
