"""The published means ranked again, beside the statements of the paper.

Means alone cannot rebuild the paper's significance scores, which need the values of every case; ranks of the means,
their agreement and their dependence on tasks and trainer can be rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.methods import ranks
from lossodyssey.ranking.published import METRICS, TASKS, Means, means, read

Floats = NDArray[np.float64]

COMPOUND = ("DiceTopK", "DiceBD", "DiceHD", "DiceFocal", "DiceCE", "ELL")
NAMES = {"liver": "liver", "liver_tumor": "liver tumour", "pancreas": "pancreas", "multi_organ": "multi-organ"}


@dataclass(frozen=True, eq=False)
class Resampling:
    """The ranking over all 256 ways to draw the four tasks with repetition."""

    first: Mapping[str, float]
    tau: tuple[float, float, float]


def mean_ranks(table: Means, tasks: Iterable[str] = TASKS, metrics: Iterable[str] = METRICS) -> dict[str, float]:
    """Average over columns each loss's rank by its mean (1 = best), best first."""
    wanted = set(product(tasks, metrics))
    columns = [i for i, column in enumerate(table.columns) if column in wanted]
    found = ranks(table.values[:, columns].T).mean(axis=0)
    return {table.losses[i]: float(found[i]) for i in np.argsort(found, kind="stable")}


def tau_between_tasks(table: Means, metric: str) -> Floats:
    """Compute Kendall's tau-b between the tasks under one metric, in the order of `TASKS`."""
    return tau_b(np.stack([table.column(task, metric) for task in TASKS]))


def tau_between_metrics(table: Means) -> dict[str, float]:
    """Compute Kendall's tau-b between DSC and NSD within each task and of the mean ranks."""
    within = {task: float(_tau(table.column(task, "DSC"), table.column(task, "NSD"))) for task in TASKS}
    overall = [_in_order(table, mean_ranks(table, metrics=[metric])) for metric in METRICS]
    return {**within, "mean ranks": _tau(*overall)}


def leave_one_task_out(table: Means) -> dict[str, tuple[float, dict[str, float]]]:
    """Return, for each task, tau-b of the mean ranks without it to those with all, and the mean ranks without it."""
    whole = _in_order(table, mean_ranks(table))
    without = {task: mean_ranks(table, [t for t in TASKS if t != task]) for task in TASKS}
    return {task: (_tau(whole, _in_order(table, found)), found) for task, found in without.items()}


def resample_tasks(table: Means) -> Resampling:
    """Rank over every draw of four tasks with repetition; a shared first place is shared."""
    # 4^4 draws are few enough to take them all: no seed, no error of simulation.
    by_task = np.stack([_in_order(table, mean_ranks(table, [task])) for task in TASKS])
    draws = np.stack([by_task[list(draw)].mean(axis=0) for draw in product(range(len(TASKS)), repeat=len(TASKS))])

    leads = np.isclose(draws, draws.min(axis=1, keepdims=True))
    share = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    first = {table.losses[i]: float(share[i]) for i in np.argsort(-share, kind="stable") if share[i] > 0}
    taus = tau_b(np.vstack([by_task.mean(axis=0), draws]))[0, 1:]
    low, median, high = np.quantile(taus, [0.025, 0.5, 0.975])
    return Resampling(first, (float(low), float(median), float(high)))


def tau_between_trainers() -> dict[str, float]:
    """Compute Kendall's tau-b between nnU-Net V1 and V2 over shared losses and tasks, per column and of mean ranks."""
    second = means("nnunet_v2")
    tasks = tuple(dict.fromkeys(task for task, _ in second.columns))
    first = means("table2").only(second.losses, tasks)
    columns = {f"{NAMES[t]} {m}": _tau(first.column(t, m), second.column(t, m)) for t, m in second.columns}
    overall = [_in_order(table, mean_ranks(table, tasks)) for table in (first, second)]
    return {**columns, "mean ranks": _tau(*overall)}


def reported_averages() -> list[tuple[str, str, str, float, float]]:
    """List averages that do not follow from their rows: (table, loss, metric, printed, recomputed, failures as 0)."""
    wrong = []
    for table in ("table2", "table3", "table4"):
        for printed in (value for value in read(table) if value.task == "average_reported"):
            own = [
                v.value
                for v in read(table)
                if (v.loss, v.variant, v.metric) == (printed.loss, printed.variant, printed.metric) and v.task in TASKS
            ]
            average = float(np.nan_to_num(own).mean())
            # The tables print four decimals, of the rows as of their average: rounding explains a difference of 1e-4.
            if abs(average - printed.value) > 1.01e-4:
                wrong.append((table, f"{printed.loss} ({printed.variant})", printed.metric, printed.value, average))
    return wrong


def _in_order(table: Means, by_loss: Mapping[str, float]) -> Floats:
    return np.array([by_loss[loss] for loss in table.losses])


def _tau(first: Floats, second: Floats) -> float:
    return float(tau_b(np.stack([first, second]))[0, 1])
