"""Runs on this machine: a process of its own for each, several at a time."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from lossodyssey.bench.claims import TIMING, Timing
from lossodyssey.bench.executors.driver import Account, Ending, OnEvent, Run, perform
from lossodyssey.bench.executors.options import check_counts
from lossodyssey.bench.job import Engine, Job, Progress
from lossodyssey.training.device import choose_device
from lossodyssey.training.settings import Settings

REPORT_EVERY = 0.2
VISIBLE = "CUDA_VISIBLE_DEVICES"
# An optimizer imports the last one at its first step: half of the time of a short run.
PRELOADED = [
    __name__,
    "lossodyssey.bench.light",
    "monai.networks.nets.unet",
    "monai.inferers.utils",
    "platformdirs",
    "torch._dynamo",
]


def default_workers(engine: Engine) -> int:
    """Return how many runs go at a time: one per GPU, else the processors of this process by the threads of a run."""
    if choose_device(Settings(device=engine.device)).type == "cuda":
        return len(_gpus(engine)) or 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // engine.threads)


@dataclass(frozen=True, slots=True)
class Local:
    """Executes `workers` runs at a time; by default one per GPU, or as many as the processors have threads for.

    With several GPUs, each run sees one of them; more workers than GPUs share them evenly.
    """

    workers: int | None = None
    timing: Timing = TIMING

    def __post_init__(self) -> None:
        check_counts("local", workers=self.workers)

    def run(self, jobs: Iterable[Job], on_event: OnEvent) -> None:
        """Execute `jobs` and return when each has ended; `on_event` is called on progress and at each end."""
        account = Account(jobs, on_event, self.timing)
        if account:
            pool = _Pool(self.workers, account)
            try:
                while account or pool.running:
                    pool.fill()
                    pool.hear()
                    account.look()
            finally:
                pool.stop()


@dataclass
class _Attempt:
    run: Run
    process: BaseProcess
    slot: int
    ending: Ending | None = None


class _Pool:
    """The processes of the runs under way, one per slot, by the pipe that each of them reports through."""

    def __init__(self, workers: int | None, account: Account) -> None:
        engine = account.waiting[0].job.engine
        self.account, self.gpus = account, _gpus(engine)
        self.free = list(range(workers or default_workers(engine)))[::-1]
        self.running: dict[Connection, _Attempt] = {}

    def fill(self) -> None:
        """Start a run in every free slot."""
        ready = self.account.ready()
        while self.free and (run := next(ready, None)):
            slot = self.free.pop()
            gpu = self.gpus[slot % len(self.gpus)] if self.gpus else None
            receiver, process = _start(run.job, gpu, self.account.timing)
            self.running[receiver] = _Attempt(run, process, slot)

    def hear(self) -> None:
        """Wait for news of the processes, or for the time of the next look at the runs of others."""
        pause = self.account.timing.look if self.account.elsewhere else None
        if not self.running:
            time.sleep(pause or 0)
        for connection in set(self.running).intersection(wait(list(self.running), pause) if self.running else ()):
            attempt = self.running[connection]
            try:
                news = connection.recv()
            except EOFError:
                attempt.process.join()
                del self.running[connection]
                self.free.append(attempt.slot)
                self.account.ended(attempt.run, attempt.ending or _died(attempt.process.exitcode))
            else:
                self._told(attempt, news)

    def _told(self, attempt: _Attempt, news: Progress | Ending) -> None:
        if isinstance(news, Ending):
            attempt.ending = news
        else:
            self.account.on_event(attempt.run.job, news)

    def stop(self) -> None:
        """Send all processes the signal to end; each removes its claim and half-written files."""
        for attempt in self.running.values():
            attempt.process.terminate()
        for attempt in self.running.values():
            attempt.process.join()


def _died(exitcode: int | None) -> Ending:
    if exitcode is None or exitcode >= 0:
        return Ending("failed", f"its process ended with exit code {exitcode}")
    name = signal.Signals(-exitcode).name
    hint = ", as by a system that is out of memory" if name == "SIGKILL" else ""
    return Ending("killed", f"its process was killed ({name}{hint})")


def _start(job: Job, gpu: str | None, timing: Timing) -> tuple[Connection, BaseProcess]:
    """Start the process of a run, which sees this GPU alone: it is then `cuda` to it whatever its number is."""
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    environment = {**os.environ, **({} if gpu is None else {VISIBLE: gpu})}
    process = context.Process(target=_work, args=(job, sender, environment, timing), daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _context() -> Any:
    """Return the way to start processes: forks of a server that has imported everything, where the system has one.

    Importing takes seconds, and a short run not much longer. The server has neither threads nor a device.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _work(job: Job, sender: Connection, environment: dict[str, str], timing: Timing) -> None:
    # The server has the environment of the time when it was started.
    os.environ.clear()
    os.environ.update(environment)
    # The parent hears Ctrl-C too and then ends its children; SystemExit lets them remove half-written files.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sender.send(perform(job, _reporter(sender), timing))


def _reporter(sender: Connection) -> Callable[[Progress], None]:
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if progress.done == progress.total or time.monotonic() - last > REPORT_EVERY:
            last = time.monotonic()
            try:
                sender.send(progress)
            except BrokenPipeError:
                sys.exit("the process that started this run is gone")

    return report


def _gpus(engine: Engine) -> list[str]:
    """List the GPUs that runs are spread over: none where they use the processor, or a GPU that was chosen."""
    device = choose_device(Settings(device=engine.device))
    if device.type != "cuda" or device.index is not None:
        return []
    visible = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
    return visible or [str(number) for number in range(torch.cuda.device_count())]
