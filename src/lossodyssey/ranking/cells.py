"""From the long table to complete arrays: one cell, losses x cases, per task and metric.

Order of the averages: classes of a case first, then folds and seeds of the case, then cases of a group (patient).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.cube import POLICIES as POLICIES
from lossodyssey.ranking.cube import Cube
from lossodyssey.ranking.measures import Measure, measures
from lossodyssey.table import Row

Floats = NDArray[np.float64]

SMALLEST_SAMPLE = 6
"""Cases that a task needs to be judged: with fewer, no signed-rank test can reach any usual level."""


class Unusable(ValueError):
    """A task in which no case has a value to compare."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One task and metric: the values that are ranked.

    `values` (losses, cases) are complete and in the metric's own direction; `filled` counts, per loss, the table
    entries that the policy had to replace; `seed_deviation` is the standard deviation over seeds of the loss's mean
    (NaN with one seed). `by_run` (losses, runs, cases) are the values before runs are averaged, NaN where a run does
    not score a case; `runs` names the fold and seed of each.
    """

    task: str
    metric: str
    losses: tuple[str, ...]
    cases: tuple[str, ...]
    values: Floats
    measure: Measure
    filled: NDArray[np.int64]
    seed_deviation: Floats
    by_run: Floats
    runs: tuple[tuple[int, int], ...]

    @property
    def seeds(self) -> NDArray[np.int64]:
        """Number of seeds with which each loss was trained."""
        trained = np.any(np.isfinite(self.by_run), axis=2)
        names = [{seed for (_, seed), ran in zip(self.runs, own, strict=True) if ran} for own in trained]
        return np.array([len(own) for own in names])

    @property
    def oriented(self) -> Floats:
        """The values turned so that larger is better."""
        return self.measure.sign * self.values


@dataclass(frozen=True, eq=False)
class Cells:
    """All cells of a table, those of one task over the same cases, and notes on how they were made complete."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def collect(
    rows: Iterable[Row],
    *,
    metrics: Sequence[str] | None = None,
    policy: str = "worst",
    separate_classes: bool = False,
    higher_is_better: Mapping[str, bool] | None = None,
) -> Cells:
    """Arrange the table's rows as complete arrays, one per task (data set) and metric.

    `separate_classes` makes a task of each class of a data set; rows with a stratum make a task of each stratum. A task
    that is too small to judge is left out where another is not, with a note.

    Raises:
        ValueError: a table that cannot be ranked: one loss, duplicate rows, unknown metric or policy, no value at all.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is unknown; expected one of {list(POLICIES)}")
    table = _checked(list(rows), metrics)

    # A stratum or a class becomes part of the task's name: from here on a task is all there is.
    if any(row.stratum for row in table):
        table = [replace(row, dataset=f"{row.dataset} / {row.stratum}") for row in table]
    if separate_classes:
        table = [replace(row, dataset=f"{row.dataset} / {row.class_name}") for row in table]

    known = measures(table, metrics or dict.fromkeys(row.metric for row in table), higher_is_better)
    losses = tuple(dict.fromkeys(row.loss for row in table))
    cells: list[Cell] = []
    notes: list[str] = []
    tasks: dict[str, list[Row]] = {}
    for row in table:
        tasks.setdefault(row.dataset, []).append(row)

    for own in tasks.values():
        try:
            cells += _task(own, losses, known, policy, notes)
        except Unusable as problem:
            if len(tasks) == 1:
                raise
            notes.append(f"{problem}; the task is left out")
    if not cells:
        raise ValueError(f"no task can be ranked: {'; '.join(notes)}")
    return Cells(*_judged(cells, notes))


def _judged(cells: list[Cell], notes: list[str]) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
    """Leave out tasks with too few cases and say so, unless no task has enough."""
    # A task of a few cases would weigh as much as one of hundreds in the overall mean.
    small = {cell.task: len(cell.cases) for cell in cells if len(cell.cases) < SMALLEST_SAMPLE}
    enough = [cell for cell in cells if cell.task not in small]
    if not enough:
        return tuple(cells), tuple(notes)
    said = [
        f"{task}: too small to judge ({count} cases, at least {SMALLEST_SAMPLE} are needed) and left out"
        for task, count in small.items()
    ]
    return tuple(enough), (*notes, *said)


def _checked(rows: list[Row], metrics: Sequence[str] | None) -> list[Row]:
    if not rows:
        raise ValueError("rows: the table is empty; expected one row per loss, case and metric")
    kept = [row for row in rows if metrics is None or row.metric in metrics]
    absent = sorted(set(metrics or ()) - {row.metric for row in kept})
    if absent:
        raise ValueError(f"metrics {absent} are not in the table; it has {sorted({row.metric for row in rows})}")
    losses = {row.loss for row in kept}
    if len(losses) < 2:
        raise ValueError(f"the table has one loss only ({losses.pop()!r}); a ranking compares at least two")

    # Two rows of one key would be averaged in silence, and cases would count unequally.
    keys = Counter((r.loss, r.dataset, r.fold, r.seed, r.case, r.class_name, r.metric) for r in kept)
    (key, count), = keys.most_common(1)  # fmt: skip
    if count > 1:
        names = ["loss", "dataset", "fold", "seed", "case", "class", "metric"]
        where = ", ".join(f"{name} {value!r}" for name, value in zip(names, key, strict=True))
        raise ValueError(f"the table has {count} rows for {where}; expected one (twice the same file?)")

    if not any(np.isfinite(row.value) for row in kept):
        raise ValueError("the table has no finite value at all: nothing can be ranked (are all runs failed?)")
    return kept


def _task(
    rows: list[Row], losses: tuple[str, ...], measures: Mapping[str, Measure], policy: str, notes: list[str]
) -> list[Cell]:
    """Build the cells of one task over the cases that all its metrics have."""
    task = rows[0].dataset
    cubes = {metric: Cube.build(chosen, losses, measures[metric]) for metric, chosen in _by_metric(rows).items()}
    for metric in [metric for metric, cube in cubes.items() if not np.isfinite(cube.values).any()]:
        notes.append(f"{task}: {metric} has no finite value and is left out")
        del cubes[metric]

    # All metrics of a task must speak of the same cases: the tests over several metrics pair them case by case.
    everything = list(dict.fromkeys(row.case for row in rows))
    usable = set(everything).intersection(*(cube.usable(policy) for cube in cubes.values()))
    cases = [case for case in everything if case in usable]
    if not cases or not cubes:
        raise Unusable(f"{task}: no case has a usable value in every metric {list(cubes)} (policy {policy!r})")
    if len(cases) < len(everything):
        notes.append(_left_out(task, len(everything) - len(cases), len(everything), policy))

    # Cases of one patient are not independent: the group's mean is the unit of every test.
    groups = {row.case: row.group or row.case for row in rows}
    cells = [_cell(task, metric, cube, cases, groups, policy) for metric, cube in cubes.items()]
    notes += [note for metric, cube in cubes.items() for note in cube.notes(task, metric, policy)]
    notes += _runs(task, rows)
    return cells


def _by_metric(rows: list[Row]) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(row.metric, []).append(row)
    return tables


def _cell(task: str, metric: str, cube: Cube, cases: list[str], groups: Mapping[str, str], policy: str) -> Cell:
    by_run, by_case = cube.by_case(policy)
    units, member = cube.members(cases, groups)
    # NaN times 0 is NaN: cases outside the ranking leave before the product.
    kept = member.any(axis=1)
    return Cell(
        task=task,
        metric=metric,
        losses=cube.losses,
        cases=units,
        values=by_case[:, kept] @ (member[kept] / member.sum(axis=0)),
        measure=cube.measure,
        filled=cube.missing.sum(axis=(1, 2, 3)),
        seed_deviation=cube.seed_deviation(by_run),
        by_run=_by_unit(by_run, member),
        runs=cube.runs,
    )


def _by_unit(by_run: Floats, member: Floats) -> Floats:
    """Average (losses, runs, all cases) over the cases that a run scores of each unit; NaN where it scores none."""
    known = np.isfinite(by_run)
    count = known @ member
    # The mean over a unit's known cases as two products, sum and count, without a loop over units.
    total = np.where(known, by_run, 0) @ member
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _left_out(task: str, left_out: int, total: int, policy: str) -> str:
    why = "a loss lacks a value there, or " if policy == "drop" else ""
    return f"{task}: {left_out} of {total} cases are left out for all losses ({why}some metric says nothing there)"


def _runs(task: str, rows: list[Row]) -> list[str]:
    runs: dict[str, set[tuple[int, int]]] = {}
    for row in rows:
        runs.setdefault(row.loss, set()).add((row.fold, row.seed))
    most = max(runs.values(), key=len)
    return [
        f"{task}: {loss} has {len(own)} of {len(most)} runs (folds and seeds); its cases are averages over fewer"
        for loss, own in runs.items()
        if len(own) < len(most)
    ]
