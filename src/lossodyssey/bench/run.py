"""One run: train a network with one loss and one seed, segment the held-out cases, score them."""

from __future__ import annotations

import csv
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lossodyssey.atomic import write_text, writing
from lossodyssey.bench.job import Job, OnProgress, Progress, Trained
from lossodyssey.bench.record import Record, write_record
from lossodyssey.bench.scoring import score_case
from lossodyssey.data import read_case, split, write_labels
from lossodyssey.table import Row, write_rows
from lossodyssey.training.device import describe, peak_memory


def execute(job: Job, on_progress: OnProgress) -> None:
    """Do the whole run, from where it was left if it was killed; an error is recorded and not raised.

    Meant to have the process to itself: threads, kernels and peak memory are settings of the process.
    """
    record = job.record()
    write_record(job.folder, record)
    try:
        record = _train_and_score(job, record, on_progress)
    except Exception as error:
        write_text(job.folder / "error.txt", traceback.format_exc())
        record = replace(record, status="failed", reason=f"{type(error).__name__}: {error}")
    write_record(job.folder, record)


def _train_and_score(job: Job, record: Record, on_progress: OnProgress) -> Record:
    trained = job.engine.train(job, on_progress)
    _write_curve(job.folder / "curve.csv", trained.curve)
    record = replace(
        record,
        settings=trained.settings,
        device=describe(trained.device),
        status="diverged" if trained.reason else "finished",
        reason=trained.reason,
        clipped=trained.clipped,
        seconds=trained.seconds,
        peak_memory_bytes=peak_memory(trained.device),
    )
    if not trained.reason:
        write_rows(job.folder / "cases.csv", _score(job, trained, on_progress))
    return record


def _score(job: Job, trained: Trained, on_progress: OnProgress) -> list[Row]:
    rows: list[Row] = []
    cases = split(job.dataset, job.held_out)[1]
    _, loss, rate = trained.curve[-1]
    for number, case in enumerate(cases, start=1):
        volume = read_case(job.dataset, case)
        labels = trained.segment(volume)
        ending = ".nii.gz" if labels.ndim == 3 else ".png"
        write_labels(job.folder / "predictions" / f"{case.name}{ending}", labels, volume)
        rows += score_case(job, case, labels, volume)
        on_progress(Progress("scoring", number, len(cases), loss, rate))
    return rows


def _write_curve(path: Path, curve: Sequence[tuple[int, float, float]]) -> None:
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "loss", "learning_rate"))
        writer.writerows(curve)
