"""The choice of a learning rate: one rule for all losses, on validation cases alone.

The score of a rate is the mean DSC of a shorter run over its validation cases, class by class, then over the classes; a
run that diverged or failed has none. Rates within `TOLERANCE` of the best score count as equal, and the smallest
of them is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lossodyssey.bench.damage import TABLE
from lossodyssey.bench.job import Job
from lossodyssey.table import Row, read_rows

METRIC, TOLERANCE = "DSC", 0.002


@dataclass(frozen=True, slots=True)
class Choice:
    """The rate that was chosen, and the score of every rate that was tried, NaN where its run gave none."""

    rate: float
    scores: Mapping[float, float]


def choose(scores: Mapping[float, float]) -> Choice:
    """Choose the learning rate from the validation score of each; the smallest where no run gave a score."""
    known = {rate: score for rate, score in scores.items() if not math.isnan(score)}
    best = max(known.values(), default=math.nan)
    equal = [rate for rate, score in known.items() if score >= best - TOLERANCE]
    return Choice(min(equal or scores), dict(sorted(scores.items())))


def validation_score(job: Job) -> float:
    """Return the score of a finished search; NaN where it diverged or failed."""
    record = job.left()
    if record is None or record.status != "finished":
        return math.nan
    return mean_score([row for row in read_rows(job.folder / TABLE) if row.loss == record.label])


def mean_score(rows: Sequence[Row]) -> float:
    """Return the mean over classes of the mean DSC over cases; NaN where it is nowhere defined."""
    by_class: dict[str, list[float]] = {}
    for row in rows:
        if row.metric == METRIC and not math.isnan(row.value):
            by_class.setdefault(row.class_name, []).append(row.value)
    return fmean(map(fmean, by_class.values())) if by_class else math.nan
