"""Which way each metric points: the one place that knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What ranking must know of a metric.

    `best` is the value of a perfect case; `worst` the value no case can fall below, NaN where there is none (then the
    worst value seen stands in); `margin` the difference that is not worth distinguishing; `clear` the amount by which a
    case is clearly worse, NaN where nobody knows. Of a `signed` measure, the size |value| is compared.
    """

    higher_is_better: bool
    best: float
    worst: float
    margin: float
    clear: float = math.nan
    signed: bool = False

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share in [0, 1], 1 being best."""
        return self.higher_is_better and self.best == 1.0 and self.worst == 0.0

    @property
    def sign(self) -> int:
        """Factor that makes larger values better."""
        return 1 if self.higher_is_better else -1


SHARE = Measure(higher_is_better=True, best=1.0, worst=0.0, margin=0.01, clear=0.1)
DISTANCE = Measure(higher_is_better=False, best=0.0, worst=math.nan, margin=1.0, clear=10.0)
ERROR = Measure(higher_is_better=False, best=0.0, worst=math.nan, margin=0.01, clear=0.1)
COUNT = Measure(higher_is_better=False, best=0.0, worst=math.nan, margin=0.5, clear=2.0)

SHARES = (
    "DSC Dice IoU Jaccard precision recall sensitivity specificity NSD clDice F1 BF1 BIoU PQ SQ RQ "
    "boundary_f1 boundary_iou lesion_f1 lesion_precision lesion_recall lesion_sensitivity accuracy kappa AUC"
)
DISTANCES = "HD HD95 ASSD ASD MASD MSD distance"
ERRORS = "ECE MCE Brier NLL RAVD AVD absolute_volume_error relative_absolute_volume_error"
COUNTS = "betti_error Betti false_positives false_negatives"
MEASURES = {
    name.lower(): measure
    for names, measure in ((SHARES, SHARE), (DISTANCES, DISTANCE), (ERRORS, ERROR), (COUNTS, COUNT))
    for name in names.split()
}


def measure(metric: str, higher_is_better: Mapping[str, bool] | None = None) -> Measure:
    """Look up a metric by its name, then without tolerance (`NSD@2`), then without variant (`HD95_voxel`).

    `higher_is_better={"name": True}` is needed for metrics unknown here (otherwise ValueError) and overrules the table.
    """
    base = metric.lower().partition("@")[0]
    known = MEASURES.get(base) or MEASURES.get(base.partition("_")[0])
    given = (higher_is_better or {}).get(metric)
    if known is not None and given in (None, known.higher_is_better):
        return known
    if given is not None:
        return Measure(given, best=math.nan, worst=math.nan, margin=0.0)
    raise ValueError(
        f"metric {metric!r} is not known here; say which way it points with higher_is_better={{{metric!r}: True}} "
        f"(command line: --higher {metric} or --lower {metric})"
    )
