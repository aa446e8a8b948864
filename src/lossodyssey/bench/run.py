"""One run: train a network with one loss and one seed, segment the held-out cases, score them."""

from __future__ import annotations

import csv
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lossodyssey.atomic import remove_drafts, write_text, writing
from lossodyssey.bench import claims
from lossodyssey.bench.answers import answer, find_thresholds, kept
from lossodyssey.bench.damage import (
    CURVE,
    PREDICTIONS,
    TABLE,
    VALIDATION,
    damages,
    fingerprint,
    fingerprints,
    lacking,
)
from lossodyssey.bench.faults import disk_is_full, explain
from lossodyssey.bench.job import Job, OnProgress, Progress, Trained
from lossodyssey.bench.loggers import Tracking
from lossodyssey.bench.measures import decoded, decoding_of
from lossodyssey.bench.record import Record, read_record, write_record
from lossodyssey.bench.scoring import score_case
from lossodyssey.bench.signs import Signs
from lossodyssey.bench.watching import write_watched
from lossodyssey.core.sources import keep
from lossodyssey.data import read_case
from lossodyssey.environment import backend
from lossodyssey.table import Row, read_rows, write_rows
from lossodyssey.training.device import describe, peak_memory


def execute(job: Job, on_progress: OnProgress, confirm: Callable[[], None] = lambda: None) -> None:
    """Execute the whole run, from where it was left if it was killed; an error is recorded and not raised.

    `confirm` is called before the end is recorded, and raises where the run belongs to another process by then.

    The damaged results of an ended run are made again: its table from its predictions, its predictions and its curve
    from its network. So is its table where a measure or a decoding is asked for that it lacks. The run has the process
    to itself, because threads, kernels and peak memory are settings of the process.

    Raises:
        OSError, RuntimeError: the disk is full, which stops all other runs too.
    """
    for source in job.sources:
        source.load()
    earlier, notes = _examine(job)
    job = job.including(earlier) if earlier else job

    for folder in (job.folder, job.folder / PREDICTIONS):
        remove_drafts(folder)
    (job.folder / "error.txt").unlink(missing_ok=True)
    keep(job.sources, job.folder)
    if earlier is None:
        write_record(job.folder, job.record())
    # A repair is not tracked: the trackers have seen the run.
    signs, tracking = Signs(job.folder), Tracking(replace(job, loggers=()) if earlier else job)
    signs.begin()

    def report(progress: Progress) -> None:
        tracking.tell(progress)
        # Bars have no use for a picture, which would travel between processes.
        plain = replace(progress, picture=None)
        signs.tell(plain)
        on_progress(plain)

    try:
        job.check_data()
        record = _scored_again(job, earlier, report) if earlier else None
        if record is None:
            record = _train_and_score(job, earlier, report, tracking)
            rows = read_rows(job.folder / TABLE) if record.status == "finished" else []
            tracking.scores(rows)
            tracking.pictures(rows)
        tracking.close()  # a tracker may fail at last, which the notes say
        record = replace(record, notes=(*notes, *record.notes, *tracking.notes), files=fingerprints(job.folder))
    except Exception as error:
        if disk_is_full(error):
            raise
        confirm()
        reason = explain(error)
        write_text(job.folder / "error.txt", traceback.format_exc())
        record = replace(job.record(), status="failed", reason=reason, notes=notes)
        if earlier and TABLE not in damages(job, earlier):
            record = replace(earlier, notes=(*notes, f"what is damaged or lacking could not be made: {reason}"))
    finally:
        tracking.close()
    confirm()
    write_record(job.folder, record)
    signs.end()


def adopted(job: Job) -> Record:
    """Read the record of a run that is done; bring the run under this job's names of loss, data and fold."""
    record = read_record(job.folder)
    notes = tuple(f"{name} {wrong}" for name, wrong in damages(job, record).items())
    named = replace(
        record,
        expression=job.expression,
        name=job.name,
        dataset=job.label_of_data,
        fold=job.division.fold,
        purpose=job.purpose,
    )
    if named != record:
        if record.status == "finished":
            write_rows(job.folder / TABLE, [_renamed(row, job) for row in read_rows(job.folder / TABLE)])
            named = replace(named, files=named.files and {**named.files, TABLE: fingerprint(job.folder / TABLE)})
        record = named
        write_record(job.folder, record)
    return replace(record, notes=notes)


def _renamed(row: Row, job: Job) -> Row:
    loss = decoded(job.label, decoding_of(row.loss))
    return replace(row, loss=loss, dataset=job.label_of_data, fold=job.division.fold)


def _examine(job: Job) -> tuple[Record | None, tuple[str, ...]]:
    """Return the record of an earlier end of this run, and a sentence for everything in its folder that is damaged."""
    record = job.left()
    if record is None:
        lost = job.folder.is_dir() and any(not path.name.endswith(claims.NAME) for path in job.folder.iterdir())
        return None, ("run.json is missing or not the record of this run; written again",) * lost
    if record.status not in ("finished", "diverged"):
        return None, ()
    notes = [f"{name} {wrong}; made again" for name, wrong in damages(job, record).items()]
    if absent := lacking(job, record):
        notes.append(f"{', '.join(absent)} asked for since; scored again")
    if job.passed_on and job.lost():
        notes.append("its network, which other losses begin with, was gone; trained again")
    return record, tuple(notes)


def _scored_again(job: Job, record: Record, on_progress: OnProgress) -> Record | None:
    """Score the existing predictions if only the table is damaged and no waiting run lacks the network."""
    if record.status != "finished" or set(damages(job, record)) - {TABLE} or (job.passed_on and job.lost()):
        return None
    rows: list[Row] = []
    cases = job.scored
    for number, case in enumerate(cases, start=1):
        volume = read_case(job.dataset, case)
        found = kept(job, case, volume)
        if found is None:
            return None
        rows += score_case(job, case, found, volume)
        on_progress(Progress("scoring", number, len(cases), float("nan"), float("nan")))
    write_rows(job.folder / TABLE, rows)
    known = replace(record, expression=job.expression, name=job.name, notes=())
    return replace(known, metrics=job.metrics, decoding=job.decoding)


def _train_and_score(job: Job, earlier: Record | None, on_progress: OnProgress, tracking: Tracking) -> Record:
    kept = earlier if earlier and job.engine.saved(job) else None
    trained = job.engine.train(job, on_progress)
    _write_curve(job.folder / CURVE, trained.curve)
    if trained.watched:
        write_watched(job.folder / VALIDATION, trained.watched)
        tracking.watched(trained.watched)
    record = replace(
        job.record(),
        settings=trained.settings,
        device=describe(trained.device),
        backend=backend(trained.device),
        status="diverged" if trained.reason else "finished",
        reason=trained.reason,
        clipped=trained.clipped,
        seconds=trained.seconds,
        parts=trained.parts,
        peak_memory_bytes=peak_memory(trained.device),
        notes=trained.notes,
    )
    if kept:
        # The time of the training was measured when it was done.
        record = replace(
            record,
            peak_memory_bytes=kept.peak_memory_bytes,
            versions=kept.versions,
            device=kept.device,
            backend=kept.backend,
        )
    if not trained.reason:
        job.check_data()  # days may have passed
        write_rows(job.folder / TABLE, _score(job, trained, on_progress))
    return record


def _score(job: Job, trained: Trained, on_progress: OnProgress) -> list[Row]:
    rows: list[Row] = []
    cases = job.scored
    _, loss, rate = trained.curve[-1]

    def tell(phase: str, number: int, total: int) -> None:
        on_progress(Progress(phase, number, total, loss, rate))

    thresholds = find_thresholds(job, trained, partial(tell, "thresholds"))
    for number, case in enumerate(cases, start=1):
        volume = read_case(job.dataset, case)
        rows += score_case(job, case, answer(job, case, volume, trained, thresholds), volume)
        tell("scoring", number, len(cases))
    return rows


def _write_curve(path: Path, curve: Sequence[tuple[int, float, float]]) -> None:
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "loss", "learning_rate"))
        writer.writerows(curve)
