"""The time that a study will take, from a few steps of each loss on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossodyssey.bench.study import Study

STEPS = 6


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of all runs of a study one after the other, and of a step with each loss (by task and loss)."""

    seconds: float
    steps: dict[tuple[str, str], float]


def estimate(study: Study, on_loss: Callable[[str], None] = lambda label: None) -> Estimate | None:
    """Measure a few steps of every loss on every task; None where the engine cannot be measured so.

    `on_loss` is called with each loss before it is measured. Starting processes and reading data are left out.
    """
    measured: dict[tuple[str, str], float] = {}
    total = 0.0
    for task, entry, job, lengths in study.lengths():
        on_loss(f"{entry.label} on {task.name}")
        seconds = job.engine.measure(job, STEPS)
        if seconds is None:
            return None
        measured[task.name, entry.label] = seconds
        total += seconds * sum(lengths)
    return Estimate(total, measured)
