"""Where runs are executed: a process of its own for each, several at a time on this machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from lossodyssey.bench.damage import lacking, repairable
from lossodyssey.bench.job import Engine, Job, Progress
from lossodyssey.bench.record import Record, read_record, write_record
from lossodyssey.bench.run import execute
from lossodyssey.training.device import choose_device
from lossodyssey.training.settings import Settings

OnEvent = Callable[[Job, Progress | Record], None]
REPORT_EVERY = 0.2


def default_workers(engine: Engine) -> int:
    """Return how many runs go at a time: one on a GPU, else the processors of this process by the threads of a run."""
    if choose_device(Settings(device=engine.device)).type == "cuda":
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // engine.threads)


def run_jobs(jobs: Iterable[Job], workers: int, on_event: OnEvent) -> None:
    """Execute `jobs`, `workers` at a time; `on_event` hears of progress and of the end of each.

    A process that dies is recorded as a failed run and does not stop the others. When this call is interrupted, the
    runs under way are stopped; they go on from their last checkpoint another time.
    """
    waiting = list(jobs)[::-1]
    running: dict[Connection, tuple[Job, SpawnProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                connection, job, process = _start(waiting.pop())
                running[connection] = job, process
            for connection in set(running).intersection(wait(list(running))):
                job, process = running[connection]
                try:
                    on_event(job, connection.recv())
                except EOFError:
                    process.join()
                    on_event(job, _ended(job, process.exitcode))
                    del running[connection]
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _start(job: Job) -> tuple[Connection, Job, SpawnProcess]:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, sender), daemon=True)
    process.start()
    sender.close()
    return receiver, job, process


def _work(job: Job, sender: Connection) -> None:
    # The parent hears Ctrl-C too and then ends its children; SystemExit lets them remove half-written files.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if progress.done == progress.total or time.monotonic() - last > REPORT_EVERY:
            last = time.monotonic()
            try:
                sender.send(progress)
            except BrokenPipeError:
                sys.exit("the process that started this run is gone")

    execute(job, report)


def _ended(job: Job, exitcode: int | None) -> Record:
    """Read how the run ended, or record that its process died."""
    try:
        record = read_record(job.folder)
    except (OSError, ValueError):
        record = job.record()
    if exitcode and (absent := lacking(job, record)) and not repairable(job, record):
        return replace(record, notes=(f"its process ended with exit code {exitcode}; it lacks {', '.join(absent)}",))
    if record.status == "running" or (exitcode and not job.done()):
        record = replace(record, status="failed", reason=f"its process ended with exit code {exitcode}")
        write_record(job.folder, record)
    return record
