"""From a finished comparison to its page: the ranking explained, and pictures of telling cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lossodyssey.bench.damage import prediction
from lossodyssey.bench.job import Job
from lossodyssey.data import Case, Volume, read_case, read_labels
from lossodyssey.report import Overlay, RunSummary, choose, write
from lossodyssey.report.overlays import Choice
from lossodyssey.report.runs import read_run
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
    names = {job.folder.name: job.label for job in sorted(jobs, key=lambda job: job.folder.name)}
    return [replace(read_run(jobs[0].runs / folder), loss=label) for folder, label in names.items()]


def _pictures(jobs: Sequence[Job], choice: Choice) -> list[Overlay]:
    """Draw the chosen case from the first run of the loss that predicted it; nothing where none did."""
    case = next(case for case in jobs[0].dataset.cases if choice.case in (case.name, case.group))
    for job in jobs:
        if job.label == choice.loss and prediction(job.folder, case).is_file():
            return _picture(job, choice, case)
    return []


def _picture(job: Job, choice: Choice, case: Case) -> list[Overlay]:
    volume = read_case(job.dataset, case)
    assert volume.labels is not None
    try:
        labels = read_labels(prediction(job.folder, case), job.dataset.classes).labels
    except ValueError:
        return []  # The comparison has told that this file is damaged.
    if labels.shape != volume.labels.shape:
        return []
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
    return [Overlay(title, image.astype(float), truth.astype(int), predicted.astype(int), (pixel[0], pixel[1]))]


def _slice(volume: Volume) -> tuple[int, int]:
    """The slice with most foreground, across the axis of widest spacing (the last one, if equal)."""
    assert volume.labels is not None
    dimensions = volume.labels.ndim
    axis = max(range(dimensions), key=lambda number: (volume.spacing[number], number))
    others = tuple(number for number in range(dimensions) if number != axis)
    return axis, int((volume.labels > 0).sum(others).argmax())
