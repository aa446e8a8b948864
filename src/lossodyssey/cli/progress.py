"""The progress display of a comparison: a bar for the whole, and one for each run under way."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lossodyssey.bench.job import Job
from lossodyssey.bench.job import Progress as RunProgress
from lossodyssey.bench.record import Record
from lossodyssey.bench.study import Study

Key = tuple[str, int]


def _key(job: Job) -> Key:
    return job.digest, job.seed


class Display:
    """Shows loss, learning rate and time left of parallel runs; call it with a job and what happened to it."""

    def __init__(self, study: Study, console: Console) -> None:
        self.console = console
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
        self.total = self.progress.add_task(
            "all steps", total=sum(sum(steps) for *_, steps in study.lengths()), note=""
        )

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

    def _count(self, key: Key, steps: int) -> None:
        self.done += steps - self.steps.get(key, 0)
        self.steps[key] = steps

    def _advance(self, job: Job, event: RunProgress) -> None:
        key = _key(job)
        if key not in self.bars:
            self.bars[key] = self.progress.add_task("", note="")
        if event.phase == "training":
            self._count(key, event.done)
        note = f"loss {event.loss:.4f}, rate {event.learning_rate:.1e}" if event.phase == "training" else event.phase
        self.progress.update(
            self.bars[key], description=escape(self._name(job)), completed=event.done, total=event.total, note=note
        )

    def _end(self, job: Job, record: Record) -> None:
        key = _key(job)
        self._count(key, job.engine.steps)
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
