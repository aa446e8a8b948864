"""One run to be done, and what an engine does for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lossodyssey.bench.record import Record, read_record, versions
from lossodyssey.data import Dataset, Volume, split


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
class Trained:
    """What training left: `segment` gives the labels (*S) of a volume.

    `settings` are the engine's, with what the data decided. `reason` is empty unless the run diverged. `curve` holds
    (step, loss, learning rate); `clipped` is the share of steps whose gradient was clipped, None where the engine
    does not tell; `seconds` counts training alone.
    """

    segment: Callable[[Volume], NDArray[np.integer[Any]]]
    settings: Mapping[str, Any]
    device: torch.device
    curve: Sequence[tuple[int, float, float]]
    reason: str
    clipped: float | None
    seconds: float


class Engine(Protocol):
    """One way to train networks: an immutable value, because it travels to the processes of the runs."""

    @property
    def name(self) -> str:
        """What the table and `run.json` call it."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions matter to the result, beside torch, numpy and this one."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the result of a run, but for loss, data and seed."""

    @property
    def device(self) -> str:
        """auto, cpu, cuda or cuda:1."""

    @property
    def threads(self) -> int:
        """Processor threads of one run."""

    @property
    def steps(self) -> int:
        """Length of a run."""

    @property
    def note(self) -> str:
        """What a user should know of its runs, in a sentence."""

    def check(self, dataset: Dataset) -> None:
        """Raise ValueError, before anything is written, where it cannot train on these data or on this machine."""

    def prepare(self, job: Job) -> None:
        """Do once what all runs of a comparison share."""

    def train(self, job: Job, on_progress: OnProgress) -> Trained:
        """Train, from where the run was left if it was killed; the process is the run's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to be done; its folder lies in `runs`."""

    expression: str
    dataset: Dataset
    held_out: int
    seed: int
    engine: Engine
    runs: Path

    @property
    def digest(self) -> str:
        """Fingerprint of everything that decides the result, but for the seed."""
        cases = [[case.name for case in part] for part in split(self.dataset, self.held_out)]
        facts = [self.expression, self.dataset.name, cases, self.engine.name, self.engine.settings, *self.dataset.rules]
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
            engine=self.engine.name,
            settings=self.engine.settings,
            classes=tuple(self.dataset.classes.values()),
            written=self.dataset.written,
            channels=self.dataset.channels,
            device=self.engine.device,
            versions=versions(self.engine.packages),
            status="running",
        )
