"""The progress display of a comparison: a bar for the whole, and one for each run under way."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lossodyssey.bench.job import Job
from lossodyssey.bench.job import Progress as RunProgress
from lossodyssey.bench.record import Record

Key = tuple[str, int]


def _key(job: Job) -> Key:
    return job.expression, job.seed


class Display:
    """Shows loss, learning rate and time left of parallel runs; call it with a job and what happened to it."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.console = console
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
        self.total = self.progress.add_task("all steps", total=sum(job.engine.steps for job in jobs), note="")

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
        name = escape(f"{job.label} seed {job.seed}")
        self.progress.update(self.bars[key], description=name, completed=event.done, total=event.total, note=note)

    def _end(self, job: Job, record: Record) -> None:
        key = _key(job)
        self._count(key, job.engine.steps)
        if key in self.bars:
            self.progress.remove_task(self.bars.pop(key))
        how = f"{record.seconds:.0f} s" if record.status == "finished" else f"{record.status}: {record.reason}"
        self.console.print(escape(f"  {job.label} seed {job.seed}: {how}"), highlight=False)
        for note in record.notes:
            self.console.print(escape(f"    {note}"), highlight=False)
