"""Scores of the validation cases along a training, which can tell a loss how good each class is so far.

A look costs the segmentation of every validation case, after each quarter of the steps, or before each epoch where the
loss follows the scores; they decide nothing else in the training.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from torch import nn

from lossodyssey.atomic import writing
from lossodyssey.bench.job import Job, OnProgress, Progress
from lossodyssey.bench.tuning import METRIC
from lossodyssey.data import Case, read_case
from lossodyssey.metrics import score
from lossodyssey.metrics.score import Label
from lossodyssey.training.inference import segment
from lossodyssey.training.settings import Settings
from lossodyssey.training.watching import Seen, Validate, Watch

COLUMNS = ("step", "case", "class", "metric", "value")


def watcher(job: Job, settings: Settings, on_progress: OnProgress) -> Watch | None:
    """Return the function that scores a network on the validation cases of a run; None without such cases."""
    return _look(job, job.validation, settings, on_progress) if job.validation else None


def validator(job: Job, settings: Settings, on_progress: OnProgress) -> Validate | None:
    """Return the function that scores every class on validation cases, for a loss that follows them; None without any.

    A search is scored on its validation cases, and its loss follows the same cases. A class that is absent from them
    has no score.
    """
    cases = job.validation or (job.scored if job.purpose == "search" else [])
    look = _look(job, cases, settings, on_progress)

    def validate(network: nn.Module) -> list[float]:
        seen = look(network)
        by_class = [
            [value for _, name, value in seen if name == target.name and math.isfinite(value)]
            for target in job.dataset.targets
        ]
        return [fmean(values) if values else math.nan for values in by_class]

    return validate if cases else None


def _look(job: Job, cases: Sequence[Case], settings: Settings, on_progress: OnProgress) -> Watch:
    """Return the function that scores a network on every class of the cases in which it is annotated."""

    def watch(network: nn.Module) -> list[tuple[str, str, float]]:
        seen = []
        for number, case in enumerate(cases, start=1):
            seen += _scores(job, case, network, settings)
            on_progress(Progress("validating", number, len(cases), math.nan, math.nan))
        return seen

    return watch


def _scores(job: Job, case: Case, network: nn.Module, settings: Settings) -> list[tuple[str, str, float]]:
    dataset, volume = job.dataset, read_case(job.dataset, case)
    labels = segment(network, volume.image, settings, dataset.written, volume.spacing)
    names: dict[Label, str] = {target.labels: target.name for target in dataset.targets}
    scores = score(
        labels, volume.labels, spacing=volume.spacing, labels=list(names), ignore=dataset.ignore, metrics=(METRIC,)
    )
    hidden = {
        target.name for target, known in zip(dataset.targets, dataset.is_annotated(case.name), strict=True) if not known
    }
    return [(case.name, names[each.label], each.value) for each in scores if names[each.label] not in hidden]


def write_watched(path: Path, seen: Sequence[Seen]) -> None:
    """Write the scores, those that are not defined as empty cells."""
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for step, case, name, value in seen:
            writer.writerow((step, case, name, METRIC, "" if math.isnan(value) else value))
