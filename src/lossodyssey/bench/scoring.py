"""Rows of the long table for the held-out cases of one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Case, Volume
from lossodyssey.metrics import score
from lossodyssey.table import Row

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job

METRICS = ("DSC", "NSD", "HD95")


def score_case(job: Job, case: Case, labels: NDArray[np.integer[Any]], volume: Volume) -> list[Row]:
    """Score the predicted `labels` (*S) of one case against its truth: a row for every foreground class and metric."""
    classes = [number for number in job.dataset.classes if number > 0]
    scores = score(labels, volume.labels, spacing=volume.spacing, labels=classes, metrics=METRICS)
    return [_row(job, case, each.label, each.metric, each.value, each.status) for each in scores]


def blank_rows(job: Job, cases: Sequence[Case], status: str) -> list[Row]:
    """Make the rows of a run that gave no predictions: every value is missing, and `status` says why."""
    classes = [number for number in job.dataset.classes if number > 0]
    return [
        _row(job, case, number, metric, float("nan"), status)
        for case in cases
        for number in classes
        for metric in METRICS
    ]


def _row(job: Job, case: Case, number: int, metric: str, value: float, status: str) -> Row:
    return Row(
        loss=job.label,
        dataset=job.dataset.name,
        fold=0,
        seed=job.seed,
        case=case.name,
        class_name=job.dataset.classes[number],
        metric=metric,
        value=value,
        status=status,
        engine=job.engine.name,
        group=case.group,
    )
