"""Runs on a Ray cluster that is there already: a task for each."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lossodyssey.bench.claims import TIMING, Timing
from lossodyssey.bench.executors.driver import Account, Ending, OnEvent, Run, perform
from lossodyssey.bench.executors.options import check_counts, package
from lossodyssey.bench.job import Job

STOPPING = 15.0
"""Seconds that runs have to end when the driver is interrupted."""


@dataclass(frozen=True, slots=True)
class Ray:
    """Executes each run as a task with `cpus` (default: the threads of a run) and `gpus`.

    `address` is that of the cluster, by default the one that this machine belongs to. `gpus` is 1 by default where the
    cluster has some and the runs may use them, else 0; 0.5 lets two runs share one. A run whose node is lost goes on
    from its checkpoint on another node. All nodes see the output folder and the data under the same paths.
    """

    address: str = "auto"
    cpus: int | None = None
    gpus: float | None = None
    timing: Timing = TIMING

    def __post_init__(self) -> None:
        check_counts("ray", cpus=self.cpus)
        if self.gpus is not None and (not isinstance(self.gpus, (int, float)) or self.gpus < 0):
            raise ValueError(f"executor ray: gpus is {self.gpus!r}; expected a number such as 1, or 0.5 to share one")
        package("ray", "ray")

    def run(self, jobs: Iterable[Job], on_event: OnEvent) -> None:
        """Execute `jobs` and return when each has ended; `on_event` is called on progress and at each end."""
        account = Account(jobs, on_event, self.timing)
        if account:
            with self._connected() as ray:
                self._drive(ray, account)

    def _drive(self, ray: Any, account: Account) -> None:
        task = ray.remote(**self._needs(ray, account.waiting[0].job))(perform)
        running: dict[Any, Run] = {}
        try:
            while account or running:
                running |= {task.remote(run.job, _unheard, self.timing): run for run in account.ready()}
                ended, others = ray.wait(list(running), timeout=self.timing.look) if running else ([], [])
                for reference in ended:
                    account.ended(running.pop(reference), _ending(ray, reference))
                for reference in others:
                    account.follow(running[reference])
                account.look()
        finally:
            for reference in running:
                ray.cancel(reference)
            if running:
                ray.wait(list(running), num_returns=len(running), timeout=STOPPING)

    def _needs(self, ray: Any, job: Job) -> dict[str, Any]:
        gpus = self.gpus
        if gpus is None:
            wanted = job.engine.device.startswith("cuda")
            gpus = int(wanted or (job.engine.device == "auto" and ray.cluster_resources().get("GPU", 0) > 0))
        # Each run has its own process, hence one call each. The driver restarts runs, and reports and counts it.
        cpus = job.engine.threads if self.cpus is None else self.cpus
        return {"num_cpus": cpus, "num_gpus": gpus, "max_calls": 1, "max_retries": 0}

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        ray = package("ray", "ray")
        try:
            _knock(self.address)
            ray.init(address=self.address, log_to_driver=False, logging_level="WARNING")
        except (ConnectionError, TimeoutError) as error:
            raise ValueError(
                f"executor ray: no cluster at address {self.address!r} ({error}); begin one with `ray start --head`"
            ) from None
        try:
            yield ray
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise ConnectionError or TimeoutError where nothing answers at `host:port`: Ray itself would try for long."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def _unheard(progress: object) -> None:
    """Keep quiet: the driver reads the progress in the claim of the run."""


def _ending(ray: Any, reference: Any) -> Ending:
    try:
        ending = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # as where a node lacks a package
        return Ending("failed", str(error).strip().splitlines()[-1])
    except ray.exceptions.RayError as error:
        return Ending("killed", f"its process or node was lost ({type(error).__name__})")
    assert isinstance(ending, Ending)
    return ending
