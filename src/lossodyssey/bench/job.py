"""One run to be done, and the engine that does it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lossodyssey.bench.damage import lacking, repairable
from lossodyssey.bench.measures import ARGMAX, check_decoding, own_names
from lossodyssey.bench.record import Record, read_record, versions
from lossodyssey.core.loss import written_out
from lossodyssey.core.sources import Source, facts
from lossodyssey.core.text import parse
from lossodyssey.data import Case, Dataset, Volume
from lossodyssey.data.contents import read_contents
from lossodyssey.data.divisions import Division
from lossodyssey.metrics.score import DEFAULT
from lossodyssey.training.watching import Seen


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` steps or cases, with the loss and learning rate of the last step.

    `picture` (rows, columns, 3) shows the batch of the step, where there is one to show.
    """

    phase: str
    done: int
    total: int
    loss: float
    learning_rate: float
    picture: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    @property
    def told(self) -> tuple[str, int, int, float, float]:
        """All but the picture, which other processes are told."""
        return self.phase, self.done, self.total, self.loss, self.learning_rate


CONCLUDED = ("finished", "diverged")
OnProgress = Callable[[Progress], None]
Purpose = Literal["table", "search", "start"]
"""Runs make the table, look for a setting on validation cases, or give later runs their first weights."""


class Segmented(NamedTuple):
    """The labels (*S) of a volume, and the probabilities (C, *S) that they were chosen by."""

    labels: NDArray[np.integer[Any]]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The outcome of a training: `segment` gives the labels (*S) of a volume.

    `with_probabilities` gives the same labels beside the probabilities (C, *S) of all classes, or of the regions where
    there are any. `settings` are the engine's, with the values that the data decided. `reason` is empty unless the run
    diverged. `curve` holds (step, loss, learning rate); `clipped` is the share of steps whose gradient was clipped,
    None where the engine does not tell; `seconds` counts training alone, `parts` those of its parts by their names;
    `watched` are the scores of the validation cases along the training, where the engine looks at them; `notes` say
    what of the data or of an earlier attempt could not be used.
    """

    segment: Callable[[Volume], NDArray[np.integer[Any]]]
    with_probabilities: Callable[[Volume], Segmented]
    settings: Mapping[str, Any]
    device: torch.device
    curve: Sequence[tuple[int, float, float]]
    reason: str
    clipped: float | None
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    watched: Sequence[Seen] = ()
    notes: tuple[str, ...] = ()


class Engine(Protocol):
    """One way to train networks: an immutable value, because it travels to the processes of the runs."""

    @property
    def name(self) -> str:
        """The name of the engine in the table and in `run.json`."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions matter to the result, beside torch, numpy and this one."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the result of a run, except loss, data and seed."""

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
        """A sentence on the runs for the user, shown before they begin."""

    def but(self, **choices: Any) -> Engine:
        """Return the engine with other settings, such as `learning_rate` or `steps`.

        Raises:
            ValueError: a setting is unknown, or a value is not valid.
        """

    def check(self, dataset: Dataset) -> None:
        """Raise ValueError, before anything is written, where it cannot train on these data or on this machine."""

    def measure(self, job: Job, steps: int) -> float | None:
        """Return the seconds of a step, from a few of them; None where only a whole run would tell."""

    def prepare(self, job: Job) -> None:
        """Prepare once the work that all runs of a comparison share."""

    def train(self, job: Job, on_progress: OnProgress) -> Trained:
        """Train, from where the run was left if it was killed; the process is the run's own."""

    def saved(self, job: Job) -> bool:
        """Return whether the trained network of an ended run can be read, so that it need not be trained again."""


@lru_cache(maxsize=1024)
def _computed(expression: str, sources: tuple[Source, ...]) -> str:
    """Return what a loss computes; all seeds share one text, whose meaning also depends on the source files."""
    return written_out(parse(expression))


def _begun(runs: Path) -> Mapping[str, str]:
    """Return the names of the folders in `runs` by their ends, fingerprint and seed, whatever the loss was called."""
    return _listed(runs, runs.stat().st_mtime_ns) if runs.is_dir() else {}


@lru_cache(maxsize=8)
def _listed(runs: Path, changed: int) -> Mapping[str, str]:
    # Thousands of runs call this; the folder's modification time says whether its list has changed.
    names = sorted((each.name for each in os.scandir(runs)), reverse=True)
    return {match[0]: name for name in names if (match := re.search(r"-[0-9a-f]{8}-seed\d+$", name))}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to be done; its folder lies in `runs`.

    `division` says which cases it trains on and which it scores. `name` is the user's own for the loss, if there is
    one; `sources` hold the user's own losses that the expression uses. `task` is the name of the data set in the table,
    its own where it is empty. `data` says what the files of the data set hold; it is read from them where it is not
    given. `purpose` tells runs that look for a setting from those that make the table. The network begins with the
    weights that the run `start` ended with, where there is one. `metrics` are the measures of its table, and
    `decoding` the ways by which probabilities become labels; neither decides the training. `loggers` track it and
    decide nothing. A run whose network is `passed_on` to waiting runs is not done while the network is missing.
    """

    expression: str
    dataset: Dataset
    division: Division
    seed: int
    engine: Engine
    runs: Path
    name: str = ""
    data: str = ""
    sources: tuple[Source, ...] = ()
    task: str = ""
    purpose: Purpose = "table"
    start: Job | None = None
    passed_on: bool = False
    metrics: tuple[str, ...] = DEFAULT
    decoding: tuple[str, ...] = (ARGMAX,)
    loggers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = self.division
        unknown = {*parts.training, *parts.scored, *parts.validation} - {case.name for case in self.dataset.cases}
        if unknown:
            raise ValueError(
                f"{self.dataset.name}: has no case {min(unknown)!r}, which the division of its cases names"
            )
        object.__setattr__(self, "metrics", own_names(tuple(self.metrics)))
        check_decoding(self.decoding, [self.division])
        if not self.data:
            object.__setattr__(self, "data", read_contents(self.dataset, self.memory).digest)

    @property
    def training(self) -> list[Case]:
        """The cases that the run trains on."""
        return self._cases(self.division.training)

    @property
    def validation(self) -> list[Case]:
        """The cases that training is watched on; neither trained on nor scored."""
        return self._cases(self.division.validation)

    @property
    def scored(self) -> list[Case]:
        """The cases whose scores make the run's table."""
        return self._cases(self.division.scored)

    def _cases(self, names: Sequence[str]) -> list[Case]:
        wanted = set(names)
        return sorted((case for case in self.dataset.cases if case.name in wanted), key=lambda case: case.name)

    @property
    def memory(self) -> Path:
        """File beside `runs` that saves reading the data again to see whether they are the same."""
        return self.runs.parent / "data.json"

    def check_data(self) -> None:
        """Compare the data with the data that the run is about.

        Raises:
            ValueError: an image or a label map was replaced since.
        """
        if read_contents(self.dataset, self.memory).digest != self.data:
            raise ValueError(
                f"{self.dataset.root}: an image or a label map was replaced since this comparison began; give the "
                "command again to train on the data as they are now"
            )

    @property
    def label(self) -> str:
        """The name of the loss in the table and on the page."""
        return self.name or self.expression

    @property
    def label_of_data(self) -> str:
        """The name of the data set in the table and on the page."""
        return self.task or self.dataset.name

    @cached_property
    def digest(self) -> str:
        """Fingerprint of everything that decides the result, except the seed.

        The loss enters by what it computes, so a preset and its sum are the same; a custom loss also by the
        content of its file. The data enter by the content of their files, so a copy elsewhere is the same, and one with
        another mask is not.
        """
        parts = self.division
        # Validation cases are named where there are any: runs without them keep the fingerprint that they had.
        cases = [parts.training, parts.scored, *([parts.validation] if parts.validation else [])]
        computed = _computed(self.expression, self.sources)
        dataset = self.dataset
        data = [dataset.name, self.data, list(dataset.classes.items()), dataset.channels, dataset.flip_axes, cases]
        facts = [computed, data, self.engine.name, self.engine.settings, *dataset.rules]
        facts += [source.sha256 for source in self.sources]
        facts += [self.start.digest, self.start.seed] if self.start else []
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def folder(self) -> Path:
        """Folder of the run, named after the loss, the fingerprint and the seed.

        A run that was begun under another text of the same loss keeps its folder.
        """
        slug = re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")[:40] or "loss"
        end = f"-{self.digest}-seed{self.seed}"
        own = self.runs / f"{slug}{end}"
        return own if own.is_dir() else self.runs / _begun(self.runs).get(end, own.name)

    def left(self) -> Record | None:
        """Return the record that an earlier attempt at this run left, None where there is none to be read."""
        try:
            record = read_record(self.folder)
        except (OSError, ValueError):
            return None
        return record if (record.digest, record.seed) == (self.digest, self.seed) else None

    def ended(self) -> bool:
        """Return whether the run has ended, in whatever way."""
        record = self.left()
        return record is not None and record.status != "running"

    def concluded(self) -> bool:
        """Return whether the run has ended and would end the same way again; its results are not looked at."""
        record = self.left()
        return record is not None and record.status in CONCLUDED

    def done(self) -> bool:
        """Return whether the run is concluded, and lacks nothing that can be had from it."""
        record = self.left()
        if record is None or record.status not in CONCLUDED:
            return False
        return not repairable(self, record) and not lacking(self, record) and not (self.passed_on and self.lost())

    def lost(self) -> bool:
        """Return whether the run has finished and its network is gone, as in runs taken from an archive."""
        record = self.left()
        return record is not None and record.status == "finished" and not self.engine.saved(self)

    def including(self, record: Record) -> Job:
        """Return the job with the measures and decodings that the run's table holds already, beside its own."""
        metrics = dict.fromkeys((*record.metrics, *self.metrics))
        return replace(self, metrics=tuple(metrics), decoding=tuple(dict.fromkeys((*record.decoding, *self.decoding))))

    def record(self) -> Record:
        """Describe the run as it begins."""
        return Record(
            expression=self.expression,
            name=self.name,
            dataset=self.label_of_data,
            seed=self.seed,
            fold=self.division.fold,
            purpose=self.purpose,
            held_out=len(self.division.scored),
            cases=len(self.division.scored),
            digest=self.digest,
            engine=self.engine.name,
            settings=self.engine.settings,
            classes=tuple(self.dataset.classes.values()),
            written=self.dataset.written,
            ignore=self.dataset.ignore,
            channels=self.dataset.channels,
            device=self.engine.device,
            versions=versions(self.engine.packages),
            status="running",
            sources=facts(self.sources),
            metrics=self.metrics,
            decoding=self.decoding,
        )
