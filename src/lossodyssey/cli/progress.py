"""The progress display of a comparison: a bar for the whole, and one for each run under way."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lossodyssey.bench.job import Job
from lossodyssey.bench.job import Progress as RunProgress
from lossodyssey.bench.record import Record
from lossodyssey.bench.study import Study

Key = tuple[str, int]


def duration(seconds: float) -> str:
    """Write a time with two digits or so: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _key(job: Job) -> Key:
    return job.digest, job.seed


EVERY = 60.0
"""Seconds from one line to the next where there is no terminal to draw bars on."""


class Display:
    """Shows loss, learning rate and time left of parallel runs; call it with a job and what happened to it.

    Off a terminal, where bars cannot move, it is a line a minute.
    """

    def __init__(self, study: Study, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.began = self.told = clock()
        self.trained = self.ended = 0
        self.several = len(study.tasks) > 1, any(len(task.divisions) > 1 for task in study.tasks)
        self.budgets = len(study.budgets) > 1
        self.bars: dict[Key, TaskID] = {}
        self.steps: dict[Key, int] = {}
        self.done = 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self.all_steps = sum(sum(steps) for *_, steps in study.lengths())
        self.total = self.progress.add_task("all steps", total=self.all_steps, note="")

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, job: Job, event: RunProgress | Record) -> None:
        if isinstance(event, Record):
            self._end(job, event)
        else:
            self._advance(job, event)
        self.progress.update(self.total, completed=self.done)
        if not self.console.is_terminal and self.clock() - self.told >= EVERY:
            self.told = self.clock()
            self.say(f"  {self.standing()}")

    def standing(self) -> str:
        """Return how far all runs are, and the time left by the pace of the steps that were trained so far."""
        share = f"{self.done / self.all_steps:.0%}" if self.all_steps else "all"
        text = f"{share} of all steps, {self.ended} runs ended"
        if not self.trained:
            return text
        left = (self.clock() - self.began) * (self.all_steps - self.done) / self.trained
        return f"{text}, about {duration(left)} left"

    def _count(self, key: Key, steps: int) -> None:
        self.done += steps - self.steps.get(key, 0)
        self.steps[key] = steps

    def _advance(self, job: Job, event: RunProgress) -> None:
        key = _key(job)
        if key not in self.bars:
            self.bars[key] = self.progress.add_task("", note="")
        if event.phase == "training":
            # Steps of an earlier attempt say nothing of the pace.
            self.trained += max(event.done - self.steps[key], 0) if key in self.steps else 1
            self._count(key, event.done)
        note = f"loss {event.loss:.4f}, rate {event.learning_rate:.1e}" if event.phase == "training" else event.phase
        self.progress.update(
            self.bars[key], description=escape(self._name(job)), completed=event.done, total=event.total, note=note
        )

    def _end(self, job: Job, record: Record) -> None:
        key = _key(job)
        self._count(key, job.engine.steps)
        self.ended += 1
        if key in self.bars:
            self.progress.remove_task(self.bars.pop(key))
        how = f"{record.seconds:.0f} s" if record.status == "finished" else f"{record.status}: {record.reason}"
        self.console.print(escape(f"  {self._name(job)}: {how}"), highlight=False)
        for note in record.notes:
            self.console.print(escape(f"    {note}"), highlight=False)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.console.print(escape(line), highlight=False)

    def _name(self, job: Job) -> str:
        """Name a run by what tells it from the others."""
        tasks, folds = self.several
        parts = [f"{job.label} seed {job.seed}"]
        parts += [f"on {job.label_of_data}"] * tasks + [f"fold {job.division.fold}"] * folds
        if job.purpose == "search":
            parts += [f"search, rate {job.engine.settings['learning_rate']:g}"]
        else:
            parts += ["earlier stage"] * (job.purpose == "start") + [f"{job.engine.steps} steps"] * self.budgets
        return ", ".join(parts)
