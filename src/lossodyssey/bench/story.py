"""From a finished comparison to its page: the ranking explained, and pictures of telling cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lossodyssey.bench.job import Job
from lossodyssey.bench.record import Record, read_record
from lossodyssey.data import Case, Volume, read_case, read_labels
from lossodyssey.data.grids import is_image, stem
from lossodyssey.report import Overlay, RunSummary, choose, read_runs, write
from lossodyssey.report.overlays import Choice
from lossodyssey.table import read_rows


def tell(jobs: Sequence[Job], command: str = "") -> Path:
    """Write `report.html` of a swept comparison beside its `cases.csv`; `command` is shown as what made it."""
    output = jobs[0].runs.parent
    rows = read_rows(output / "cases.csv")
    pictures = [picture for choice in choose(rows) for picture in _pictures(jobs, choice)]
    path = output / "report.html"
    write(rows, path, runs=_summaries(jobs), overlays=pictures, command=command)
    return path


def _summaries(jobs: Sequence[Job]) -> list[RunSummary]:
    """Runs of this comparison alone: the folder may hold others, of other settings."""
    own = [_key(read_record(job.folder)) for job in jobs]
    return [run for run in read_runs(jobs[0].runs) if (run.loss, run.seed, run.settings) in own]


def _key(record: Record) -> tuple[str, int, object]:
    return record.expression, record.seed, json.loads(json.dumps(record.settings))


def _pictures(jobs: Sequence[Job], choice: Choice) -> list[Overlay]:
    """Draw the chosen case from the first run of the loss that predicted it; nothing where none did."""
    case = next(case for case in jobs[0].dataset.cases if choice.case in (case.name, case.group))
    for job in jobs:
        found = _prediction(job, case)
        if job.expression == choice.loss and found is not None:
            return [_picture(job, choice, case, found)]
    return []


def _prediction(job: Job, case: Case) -> Path | None:
    """The label map of a case; names are compared, for they may hold dots and what a pattern takes for its own."""
    folder = job.folder / "predictions"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return next((path for path in files if is_image(path) and stem(path) == case.name), None)


def _picture(job: Job, choice: Choice, case: Case, prediction: Path) -> Overlay:
    volume = read_case(job.dataset, case)
    assert volume.labels is not None
    labels = read_labels(prediction, job.dataset.classes).labels
    axis, index = _slice(volume)
    shown = [volume.image[0], volume.labels, labels]
    pixel = volume.spacing
    if volume.labels.ndim == 3:
        # Turned so that the second world axis points up, as pictures of the body are hung.
        shown = [np.rot90(each.take(index, axis)) for each in shown]
        height, width = [size for number, size in enumerate(volume.spacing) if number != axis][::-1]
        pixel = (height, width)
    image, truth, predicted = shown
    title = f"{choice.why}: {case.name}, {choice.loss}"
    return Overlay(title, image.astype(float), truth.astype(int), predicted.astype(int), (pixel[0], pixel[1]))


def _slice(volume: Volume) -> tuple[int, int]:
    """The slice with most foreground, across the axis of widest spacing (the last one, if equal)."""
    assert volume.labels is not None
    dimensions = volume.labels.ndim
    axis = max(range(dimensions), key=lambda number: (volume.spacing[number], number))
    others = tuple(number for number in range(dimensions) if number != axis)
    return axis, int((volume.labels > 0).sum(others).argmax())
