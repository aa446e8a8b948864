"""The account that a driver keeps of its runs, whatever executes them."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lossodyssey.bench.claims import TIMING, Claim, Lost, Taken, Timing, Watch, claimed
from lossodyssey.bench.damage import repairable
from lossodyssey.bench.faults import disk_is_full, explain
from lossodyssey.bench.job import Job, OnProgress, Progress
from lossodyssey.bench.record import Record, read_record, write_record
from lossodyssey.bench.run import execute

OnEvent = Callable[[Job, Progress | Record], None]
RESTARTS = 3
"""Times that a run whose process was killed is started again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt at a run ended.

    `recorded`: the record states the end; `failed`: `why` must still be recorded; `killed` and `stopped`: the run can
    go on from its checkpoint, and only kills count towards `RESTARTS`; `elsewhere`: another process executes it;
    `full`: no disk space.
    """

    kind: Literal["recorded", "failed", "killed", "stopped", "elsewhere", "full"]
    why: str = ""


def perform(job: Job, on_progress: OnProgress, timing: Timing = TIMING) -> Ending:
    """Execute a run under a claim on it, unless it is done meanwhile; this is all that the process of a run does."""
    try:
        for source in job.sources:  # the name of the folder follows from what the loss computes
            source.load()
        with claimed(job.folder, timing) as held:

            def report(progress: Progress) -> None:
                held.tell(progress.told)
                on_progress(progress)

            if not job.done():
                execute(job, report, held.check)
    except (Taken, Lost) as taken:
        return Ending("elsewhere", str(taken))
    except Exception as error:
        traceback.print_exc()
        return Ending("full" if disk_is_full(error) else "failed", explain(error))
    return Ending("recorded")


class Run:
    """A run that a driver looks after: its job, the watch on its claim, and how often its process was killed."""

    def __init__(self, job: Job, timing: Timing) -> None:
        self.job, self.kills = job, 0
        self.watch = Watch(job.folder, timing)
        self._before = self._stamp()

    def ended_meanwhile(self) -> bool:
        """Return whether another process has recorded an end since this driver began."""
        left = self.job.left()
        return left is not None and left.status != "running" and self._stamp() != self._before

    def _stamp(self) -> tuple[int, int]:
        try:
            facts = (self.job.folder / "run.json").stat()
        except OSError:
            return 0, 0
        return facts.st_ino, facts.st_mtime_ns


class Account:
    """The runs of a driver: those that wait, and those that another process executes."""

    def __init__(self, jobs: Iterable[Job], on_event: OnEvent, timing: Timing = TIMING) -> None:
        self.on_event, self.timing = on_event, timing
        self.waiting = deque(Run(job, timing) for job in jobs)
        self.elsewhere: list[Run] = []
        self._looked, self._said = time.monotonic(), False

    def __bool__(self) -> bool:
        """Return whether runs wait for a free process, or for the process of another driver to end."""
        return bool(self.waiting or self.elsewhere)

    def ready(self) -> Iterator[Run]:
        """Take out the runs that can be started, one by one; leave those that another process executes to it."""
        while self.waiting:
            run = self.waiting.popleft()
            if holder := run.watch.holder():
                self._leave(run, holder)
            elif run.ended_meanwhile():
                self.on_event(run.job, read_record(run.job.folder))
            else:
                yield run

    def look(self) -> None:
        """Look at the runs that others execute, if the last look was a while ago."""
        if time.monotonic() - self._looked < self.timing.look:
            return
        self._looked = time.monotonic()
        for run in list(self.elsewhere):
            if not self.follow(run):
                self.elsewhere.remove(run)
                self.waiting.append(run)

    def follow(self, run: Run) -> bool:
        """Report the progress that the claim on a run tells of; return whether there is one."""
        holder = run.watch.holder()
        if holder and (progress := _told(holder)):
            self.on_event(run.job, progress)
        return holder is not None

    def ended(self, run: Run, ending: Ending) -> None:
        """Take note of the end of an attempt, and put the run back if that is not the end of the run.

        Raises:
            OSError: the disk is full.
        """
        if ending.kind == "full":
            raise OSError(
                f"{run.job.runs.parent}: the disk is full; free some space and give the command again, every run goes "
                f"on from its last checkpoint ({ending.why})"
            )
        run.kills += ending.kind == "killed"
        if ending.kind == "elsewhere":
            self._found_elsewhere(run)
        elif ending.kind == "stopped" or (ending.kind == "killed" and run.kills <= RESTARTS):
            self._again(run, ending.why)
        else:
            self._close(run, ending)

    def _leave(self, run: Run, holder: Claim) -> None:
        self.elsewhere.append(run)
        if self._said:
            return
        self._said = True
        holders = [holder, *(found for other in self.waiting if (found := other.watch.holder()))]
        count = "1 run is" if len(holders) == 1 else f"{len(holders)} runs are"
        hosts = ", ".join(sorted({each.host or "a machine unknown" for each in holders}))
        warnings.warn(f"{count} being done by another lossodyssey on {hosts}; waiting for the results", stacklevel=2)

    def _found_elsewhere(self, run: Run) -> None:
        if holder := run.watch.holder():
            self._leave(run, holder)
        else:
            self.waiting.append(run)

    def _again(self, run: Run, why: str) -> None:
        count = f" ({run.kills} of {RESTARTS})" if run.kills else ""
        warnings.warn(
            f"{run.job.label} seed {run.job.seed}: {why}; started again from its last checkpoint{count}", stacklevel=2
        )
        self.waiting.appendleft(run)

    def _close(self, run: Run, ending: Ending) -> None:
        why = ending.why if ending.kind == "failed" else f"{ending.why}, after {RESTARTS} restarts"
        try:
            record = read_record(run.job.folder) if ending.kind == "recorded" else fail(run.job, why, self.timing)
        except (Taken, Lost):
            self._found_elsewhere(run)
        else:
            self.on_event(run.job, record)


def _told(holder: Claim) -> Progress | None:
    """Return the progress that a claim tells of; another version of this package may tell of other things."""
    try:
        return Progress(*holder.progress) if holder.progress else None
    except TypeError:
        return None


def fail(job: Job, why: str, timing: Timing = TIMING) -> Record:
    """Write into the record that a run failed, unless it is done; one that was to be scored again keeps its scores.

    Raises:
        Taken: another process executes it.
        Lost: another process took it over meanwhile.
    """
    with claimed(job.folder, timing) as held:
        if job.done():
            return read_record(job.folder)
        left = job.left() or job.record()
        whole = left.status == "finished" and not repairable(job, left)
        record = replace(left, notes=(why,)) if whole else replace(left, status="failed", reason=why)
        held.check()
        write_record(job.folder, record)
    return record
