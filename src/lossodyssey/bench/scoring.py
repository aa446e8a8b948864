"""Rows of the long table for the held-out cases of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from lossodyssey.bench.answers import Answer
from lossodyssey.bench.measures import decoded
from lossodyssey.bench.thresholds import targets_of
from lossodyssey.data import Case, Volume
from lossodyssey.data.regions import Region
from lossodyssey.data.volumes import read_truth
from lossodyssey.metrics import score
from lossodyssey.metrics.masks import diagonal
from lossodyssey.metrics.measure import table_facts
from lossodyssey.metrics.score import Label, Scores, class_pairs
from lossodyssey.table import Row
from lossodyssey.table.row import NOT_ANNOTATED

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job


class Extent(NamedTuple):
    """The diagonal of an image, and whether the size of its pixels is known."""

    diagonal: float
    sized: bool


def score_case(job: Job, case: Case, answer: Answer, volume: Volume) -> list[Row]:
    """Score the answer for one case against its truth: a row for every decoding, region or class, and metric.

    Measures of probabilities are the same under every decoding. A class that is not annotated in the case has a status
    that says so in place of values: what a network finds there may be right.
    """
    names: dict[Label, str] = {target.labels: target.name for target in job.dataset.targets}
    extent = Extent(diagonal(volume.image.shape[1:], volume.spacing), volume.sized)
    rows = [
        _row(job, case, extent, decoding, names[found.label], found.metric, found.value, found.status, found.size)
        for decoding in answer.labels
        for found in _scores(job, answer, decoding, volume)
    ]
    return _without_hidden(job, case, rows)


def _without_hidden(job: Job, case: Case, rows: list[Row]) -> list[Row]:
    pairs = zip(job.dataset.targets, job.dataset.is_annotated(case.name), strict=True)
    hidden = {target.name for target, known in pairs if not known}
    return [
        replace(row, value=math.nan, status=NOT_ANNOTATED, size=math.nan) if row.class_name in hidden else row
        for row in rows
    ]


def _scores(job: Job, answer: Answer, decoding: str, volume: Volume) -> Scores:
    dataset = job.dataset
    labels: list[Label] = [target.labels for target in dataset.targets]
    weights = answer.probabilities
    return score(
        answer.labels[decoding],
        volume.labels,
        spacing=volume.spacing,
        labels=labels,
        ignore=dataset.ignore,
        metrics=job.metrics,
        probabilities=None if weights is None else dict(zip(labels, targets_of(weights, dataset), strict=True)),
    )


def blank_rows(job: Job, cases: Sequence[Case], status: str) -> list[Row]:
    """Make the rows of a run that gave no predictions: every value is missing, and `status` says why."""
    rows: list[Row] = []
    for case in cases:
        extent, sizes = _extent(case, job.dataset.targets, job.dataset.ignore, job.dataset.spacing)
        own = [
            _row(job, case, extent, decoding, target.name, metric, math.nan, status, size)
            for decoding in job.decoding
            for target, size in zip(job.dataset.targets, sizes, strict=True)
            for metric in job.metrics
        ]
        rows += _without_hidden(job, case, own)
    return rows


@lru_cache(maxsize=4096)
def _extent(
    case: Case, targets: tuple[Region, ...], ignore: int | None, spacing: tuple[float, ...]
) -> tuple[Extent, tuple[float, ...]]:
    """Return the extent of a label map that many failed runs share, and the volume of each target; NaN if unread."""
    with suppress(ValueError, OSError):
        truth = read_truth(case, spacing)
        labels: list[Label] = [target.labels for target in targets]
        pairs = class_pairs(truth.labels, truth.labels, truth.spacing, labels, ignore)
        return Extent(diagonal(truth.labels.shape, truth.spacing), truth.sized), tuple(
            pair.truth_volume for _, pair in pairs
        )
    return Extent(math.nan, True), (math.nan,) * len(targets)


def _row(
    job: Job,
    case: Case,
    extent: Extent,
    decoding: str,
    name: str,
    metric: str,
    value: float,
    status: str,
    size: float,
) -> Row:
    return Row(
        loss=decoded(job.label, decoding),
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
        size=size,
        **table_facts(metric, *extent),
    )
