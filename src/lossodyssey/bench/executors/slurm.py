"""Runs as jobs of SLURM, through submitit: an array for all that are ready at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lossodyssey.bench.claims import TIMING, Timing
from lossodyssey.bench.executors.driver import Account, Ending, OnEvent, Run, perform
from lossodyssey.bench.executors.options import check_counts, package
from lossodyssey.bench.job import Job

LARGEST_ARRAY = 1000
"""SLURM's own limit, unless a site has set another."""
TIMEOUTS = 100
"""Times that a run whose time is up is queued again: each time it comes nearer to its end."""
GRACE = 15.0
"""Seconds that a result may take to come through a network file system."""
OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT")
USUAL = ("None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Dependency")
"""Reasons to wait that end by themselves."""


@dataclass(frozen=True, slots=True)
class Slurm:
    """Executes each run as a task of a job array, `parallel` of them at a time.

    `time` is in minutes; a run whose time is up, or that is preempted, is queued again and goes on from its checkpoint.
    `cpus` is by default the threads of a run; `gpus`, by default 1 where the device of the runs is `cuda`, is per run;
    `memory` is in GB. `partition`, `account`, `qos` and `constraint` are those of SLURM; the site's where not given.
    The queue is polled every `poll` seconds. Logs lie in the folder `slurm` of the output.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: int = 240
    cpus: int | None = None
    gpus: int | None = None
    memory: int | None = None
    parallel: int = 256
    poll: int = 10
    timing: Timing = TIMING

    def __post_init__(self) -> None:
        check_counts(
            "slurm", time=self.time, cpus=self.cpus, memory=self.memory, parallel=self.parallel, poll=self.poll
        )
        check_counts("slurm", 0, gpus=self.gpus)
        package("slurm", "submitit")

    def run(self, jobs: Iterable[Job], on_event: OnEvent) -> None:
        """Execute `jobs` and return when each has ended; `on_event` is called on progress and at each end."""
        account = Account(jobs, on_event, self.timing)
        if not account:
            return
        logs = account.waiting[0].job.runs.parent / "slurm"
        queue = _Queue(logs)
        tasks: dict[Any, Run] = {}
        try:
            while account or tasks:
                for runs in _portions(list(account.ready())):
                    tasks |= zip(self._array(logs, [run.job for run in runs]), runs, strict=True)
                time.sleep(self.poll if tasks else self.timing.look)
                queue.ask()
                for task in list(tasks):
                    if ending := queue.ending(task):
                        account.ended(tasks.pop(task), ending)
                    else:
                        account.follow(tasks[task])
                account.look()
        finally:
            for task in tasks:
                task.cancel(check=False)

    def _array(self, logs: Path, jobs: Sequence[Job]) -> Sequence[Any]:
        submitit = package("slurm", "submitit")
        try:
            executor = submitit.SlurmExecutor(logs, max_num_timeout=TIMEOUTS)
            executor.update_parameters(**self._parameters(jobs[0]))
            return executor.map_array(Task(self.timing), jobs)  # type: ignore[no-any-return]
        except RuntimeError as error:
            raise ValueError(f"executor slurm: {str(error).strip().splitlines()[-1]}") from None

    def _parameters(self, job: Job) -> Mapping[str, Any]:
        gpus = int(job.engine.device.startswith("cuda")) if self.gpus is None else self.gpus
        given = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "gpus_per_node": gpus or None,
            "mem": f"{self.memory}GB" if self.memory else None,
        }
        return {
            **{name: value for name, value in given.items() if value is not None},
            "job_name": "lossodyssey",
            "time": self.time,
            "cpus_per_task": self.cpus or job.engine.threads,
            "array_parallelism": self.parallel,
            "additional_parameters": {"requeue": True},
        }


@dataclass(frozen=True)
class Task:
    """The work of one task of the array: submitit calls it, and calls `checkpoint` before it queues the task again."""

    timing: Timing

    def __call__(self, job: Job) -> Ending:
        """Execute the run."""
        # submitit ignores the signal that comes before the kill; the run can use the time to end cleanly.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        return perform(job, lambda progress: None, self.timing)

    def checkpoint(self, job: Job) -> Any:
        """Return the same work again: the run goes on from its own checkpoint."""
        return package("slurm", "submitit").helpers.DelayedSubmission(self, job)


class _Queue:
    """SLURM's answer about the user's jobs; by `squeue`, because `sacct` needs a database that small sites lack."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.results: set[str] = set()
        self.states: dict[str, str] | None = None
        self.over: dict[str, float] = {}
        self.said: set[str] = set()

    def ask(self) -> None:
        """Ask for the states of all jobs; they are unknown if the scheduler does not answer."""
        # Listing the folder finds new files even where a network file system has cached that they are absent.
        self.results = {path.name for path in self.logs.iterdir()}
        command = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T|%r"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            self.states = None
            return
        lines = [line.strip().split("|", 2) for line in done.stdout.splitlines()]
        self.states = {number: state for number, state, _ in lines}
        self._say({reason for _, state, reason in lines if state == "PENDING"} - {*USUAL, *self.said})

    def _say(self, reasons: set[str]) -> None:
        self.said |= reasons
        for reason in sorted(reasons):
            warnings.warn(f"SLURM lets runs wait: {reason} (`squeue --me` shows them)", stacklevel=2)

    def ending(self, task: Any) -> Ending | None:
        """Return how a task ended, None where it may still go on."""
        if task.paths.result_pickle.name in self.results:
            return _result(task)
        if self.states is None:
            return None
        state = self.states.get(task.job_id, "no longer known to SLURM")
        if state not in (*OVER, "PREEMPTED", "no longer known to SLURM"):
            self.over.pop(task.job_id, None)
            return None
        if time.monotonic() - self.over.setdefault(task.job_id, time.monotonic()) < GRACE:
            return None
        kind: Literal["stopped", "killed"] = "stopped" if state == "PREEMPTED" else "killed"
        return Ending(kind, f"its job {task.job_id} is {state} (more in {task.paths.stderr})")


def _portions(runs: Sequence[Run]) -> Iterator[Sequence[Run]]:
    """Divide runs into arrays that SLURM takes."""
    for begin in range(0, len(runs), LARGEST_ARRAY):
        yield runs[begin : begin + LARGEST_ARRAY]


def _result(task: Any) -> Ending:
    error = task.exception()
    if error is None:
        ending = task.result()
        assert isinstance(ending, Ending)
        return ending
    # The text of submitit frames the traceback with lines of dashes; the last line of it says the error.
    trace = str(error).split("-" * 22)[1:2] or [str(error)]
    return Ending("failed", f"{trace[0].strip().splitlines()[-1]} (more in {task.paths.stderr})")
