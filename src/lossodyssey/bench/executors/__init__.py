"""Where runs are executed: on this machine, by SLURM, on a Ray cluster, or elsewhere by their printed commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Protocol

from lossodyssey.bench.executors.commands import Commands
from lossodyssey.bench.executors.driver import OnEvent
from lossodyssey.bench.executors.local import Local, default_workers
from lossodyssey.bench.executors.ray import Ray
from lossodyssey.bench.executors.slurm import Slurm
from lossodyssey.bench.job import Job

__all__ = ["Commands", "Executor", "Local", "OnEvent", "Ray", "Slurm", "choose", "default_workers"]


class Executor(Protocol):
    """One way to execute runs."""

    def run(self, jobs: Iterable[Job], on_event: OnEvent) -> None:
        """Execute `jobs` and return when each has ended; `on_event` is called on progress and at each end.

        When this call is interrupted, the runs under way are stopped; they go on from their last checkpoint the next
        time. A run that another process executes is left to that process, and this call waits for its end.

        Raises:
            OSError: the disk is full.
        """


EXECUTORS: dict[str, type[Local] | type[Slurm] | type[Ray] | type[Commands]] = {
    "local": Local,
    "slurm": Slurm,
    "ray": Ray,
    "print": Commands,
}


def choose(name: str, **options: Any) -> Executor:
    """Make the executor of this name; `options` are those of its class that are not None.

    Raises:
        ValueError: an unknown executor, an option that it does not know or that is out of range, a package it lacks.
    """
    if name not in EXECUTORS:
        raise ValueError(f"executor is {name!r}; expected one of {', '.join(EXECUTORS)}")
    kind = EXECUTORS[name]
    known = [field.name for field in fields(kind) if field.name != "timing"]
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in known:
            raise ValueError(f"executor {name} does not know the option {option}; it takes {', '.join(known)}")
    return kind(**given)
