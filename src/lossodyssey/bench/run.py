"""One run: train a network with one loss and one seed, segment the held-out cases, score them."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lossodyssey.atomic import write_text, writing
from lossodyssey.bench.record import Record, read_record, versions, write_record
from lossodyssey.bench.scoring import score_case
from lossodyssey.data import Case, Dataset, read_case, split, write_labels
from lossodyssey.data.patches import CachedCase, cache, patch_shape
from lossodyssey.losses.algebra import parse
from lossodyssey.losses.class_weights import count_classes, with_class_weights
from lossodyssey.table import Row, write_rows
from lossodyssey.training.device import describe, peak_memory, prepare_process
from lossodyssey.training.inference import segment
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import Outcome, fit


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` steps or cases, with the loss and learning rate of the last step."""

    phase: str
    done: int
    total: int
    loss: float
    learning_rate: float


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to be done; its folder lies in `runs`."""

    expression: str
    dataset: Dataset
    held_out: int
    seed: int
    settings: Settings
    runs: Path

    @property
    def digest(self) -> str:
        """Fingerprint of everything that decides the result, but for the seed."""
        cases = [[case.name for case in part] for part in split(self.dataset, self.held_out)]
        facts = [self.expression, self.dataset.name, cases, asdict(self.settings)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def folder(self) -> Path:
        """Folder of the run, named after the loss, the fingerprint and the seed."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.expression.lower()).strip("-")[:40]
        return self.runs / f"{slug}-{self.digest}-seed{self.seed}"

    def done(self) -> bool:
        """Whether the run has ended, and would end the same way again."""
        try:
            record = read_record(self.folder)
        except (OSError, ValueError):
            return False
        agrees = (record.expression, record.digest, record.seed) == (self.expression, self.digest, self.seed)
        return agrees and record.status in ("finished", "diverged")

    def record(self) -> Record:
        """Describe the run as it begins."""
        return Record(
            expression=self.expression,
            dataset=self.dataset.name,
            seed=self.seed,
            held_out=self.held_out,
            digest=self.digest,
            settings=self.settings,
            classes=tuple(self.dataset.classes.values()),
            channels=self.dataset.channels,
            device=self.settings.device,
            versions=versions(),
            status="running",
        )


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
    device = prepare_process(job.settings)
    training, held_out = split(job.dataset, job.held_out)
    cases = cache(job.dataset, training, device)
    patch = job.settings.patch or patch_shape(cases, job.settings.divisor)
    record = replace(record, settings=replace(job.settings, patch=patch), device=describe(device))
    outcome = _train(job, record.settings, cases, on_progress)
    _write_curve(job.folder / "curve.csv", outcome)
    record = replace(
        record,
        status="diverged" if outcome.reason else "finished",
        reason=outcome.reason,
        clipped=outcome.clipped,
        seconds=outcome.seconds,
        peak_memory_bytes=peak_memory(device),
    )
    if not outcome.reason:
        write_rows(job.folder / "cases.csv", _score(job, record.settings, outcome, held_out, on_progress))
    return record


def _train(job: Job, settings: Settings, cases: Sequence[CachedCase], on_progress: OnProgress) -> Outcome:
    classes = len(job.dataset.classes)
    counts = count_classes((case.labels for case in cases), classes)
    return fit(
        with_class_weights(parse(job.expression), counts),
        cases,
        settings,
        classes=classes,
        seed=job.seed,
        flip_axes=job.dataset.flip_axes,
        checkpoint=job.folder / "checkpoint.pt",
        on_step=lambda step, loss, rate: on_progress(Progress("training", step, settings.steps, loss, rate)),
    )


def _score(job: Job, settings: Settings, outcome: Outcome, cases: Sequence[Case], on_progress: OnProgress) -> list[Row]:
    rows: list[Row] = []
    _, loss, rate = outcome.curve[-1]
    for number, case in enumerate(cases, start=1):
        volume = read_case(job.dataset, case)
        labels = segment(outcome.network, volume.image, settings)
        ending = ".nii.gz" if labels.ndim == 3 else ".png"
        write_labels(job.folder / "predictions" / f"{case.name}{ending}", labels, volume)
        rows += score_case(job, case, labels, volume)
        on_progress(Progress("scoring", number, len(cases), loss, rate))
    return rows


def _write_curve(path: Path, outcome: Outcome) -> None:
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "loss", "learning_rate"))
        writer.writerows(outcome.curve)
