"""Scores of the validation cases along a training; nothing of the training is decided by them.

A look costs the segmentation of every validation case, after each quarter of the steps.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from lossodyssey.atomic import writing
from lossodyssey.bench.job import Job, OnProgress, Progress
from lossodyssey.bench.tuning import METRIC
from lossodyssey.data import Case, read_case
from lossodyssey.metrics import score
from lossodyssey.metrics.score import Label
from lossodyssey.training.inference import segment
from lossodyssey.training.settings import Settings
from lossodyssey.training.watching import Seen, Watch

COLUMNS = ("step", "case", "class", "metric", "value")


def watcher(job: Job, settings: Settings, on_progress: OnProgress) -> Watch | None:
    """Return the look at a network that scores the validation cases of a run; None where it has no such cases."""
    cases = job.validation

    def watch(network: nn.Module) -> list[tuple[str, str, float]]:
        seen = []
        for number, case in enumerate(cases, start=1):
            seen += _scores(job, case, network, settings)
            on_progress(Progress("validating", number, len(cases), math.nan, math.nan))
        return seen

    return watch if cases else None


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
