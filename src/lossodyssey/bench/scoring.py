"""Rows of the long table for the held-out cases of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Case, Volume, read_labels
from lossodyssey.metrics import score
from lossodyssey.metrics.masks import diagonal
from lossodyssey.metrics.measure import table_facts
from lossodyssey.metrics.score import Label
from lossodyssey.table import Row

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job

METRICS = ("DSC", "NSD", "HD95")


def score_case(job: Job, case: Case, labels: NDArray[np.integer[Any]], volume: Volume) -> list[Row]:
    """Score the predicted `labels` (*S) of one case against its truth: a row for every region or class and metric."""
    dataset = job.dataset
    names: dict[Label, str] = {target.labels: target.name for target in dataset.targets}
    scores = score(
        labels, volume.labels, spacing=volume.spacing, labels=list(names), ignore=dataset.ignore, metrics=METRICS
    )
    length = diagonal(volume.image.shape[1:], volume.spacing)
    return [_row(job, case, length, names[each.label], each.metric, each.value, each.status) for each in scores]


def blank_rows(job: Job, cases: Sequence[Case], status: str) -> list[Row]:
    """Make the rows of a run that gave no predictions: every value is missing, and `status` says why."""
    return [
        _row(job, case, _diagonal(case.label), target.name, metric, math.nan, status)
        for case in cases
        for target in job.dataset.targets
        for metric in METRICS
    ]


@lru_cache(maxsize=4096)
def _diagonal(path: Path | None) -> float:
    """Return the diagonal of a label map that many failed runs share; NaN where it cannot be read."""
    with suppress(ValueError, OSError):
        truth = read_labels(path or "")
        return diagonal(truth.labels.shape, truth.spacing)
    return math.nan


def _row(job: Job, case: Case, length: float, name: str, metric: str, value: float, status: str) -> Row:
    return Row(
        loss=job.label,
        dataset=job.label_of_data,
        fold=job.division.fold,
        seed=job.seed,
        case=case.name,
        class_name=name,
        metric=metric,
        value=value,
        status=status,
        engine=job.engine.name,
        group=case.group,
        **table_facts(metric, length),
    )
