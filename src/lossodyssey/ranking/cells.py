"""From the long table to complete arrays: one cell, losses x cases, per task and metric.

Order of the averages: classes of a case first, then folds and seeds of the case, then cases of a group (patient).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.coverage import in_common
from lossodyssey.ranking.cube import POLICIES as POLICIES
from lossodyssey.ranking.cube import Cube
from lossodyssey.ranking.measures import Measure, measures
from lossodyssey.ranking.nouns import noun
from lossodyssey.ranking.shared import Unusable, shared_cases
from lossodyssey.table import Row
from lossodyssey.table.row import NOT_ANNOTATED

Floats = NDArray[np.float64]

SMALLEST_SAMPLE = 6
"""Cases that a task needs to be judged: with fewer, no signed-rank test can reach any usual level."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One task and metric: the values that are ranked.

    `values` (losses, cases) are complete and in the metric's own direction; `filled` counts, per loss, the table
    entries that the policy had to replace, `absent` those of them for which the table has no row; `seed_deviation` is
    the standard deviation over seeds of the loss's mean (NaN with one seed). `by_run` (losses, runs, cases) are the
    values before runs are averaged, NaN where a run does not score a case; `runs` names the fold and seed of each.
    """

    task: str
    metric: str
    losses: tuple[str, ...]
    cases: tuple[str, ...]
    values: Floats
    measure: Measure
    filled: NDArray[np.int64]
    absent: NDArray[np.int64]
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
    """All cells of a table, those of one task over the same cases, and notes on how they were made complete.

    `left_out` are the losses that were not run on all that is compared, with a reason.
    """

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, str]


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
    that is too small to judge is left out where another is not, with a note. So is what not all losses were run on (see
    `in_common`): no value is put where a loss has no row at all.

    Raises:
        ValueError: a table that cannot be ranked: one loss, duplicate rows, unknown metric or policy, no value at all.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is unknown; expected one of {list(POLICIES)}")
    # A class that is not annotated in a case needs no value there: its rows are left out.
    table = _checked([row for row in rows if row.status != NOT_ANNOTATED], metrics)

    # A stratum or a class becomes part of the task's name: from here on a task is all there is.
    if any(row.stratum for row in table):
        table = [replace(row, dataset=f"{row.dataset} / {row.stratum}") for row in table]
    if separate_classes:
        table = [replace(row, dataset=f"{row.dataset} / {row.class_name}") for row in table]

    common = in_common(table, metrics)
    table, notes = common.rows, [*common.notes]
    known = measures(table, metrics or dict.fromkeys(row.metric for row in table), higher_is_better)
    losses = tuple(dict.fromkeys(row.loss for row in table))
    cells: list[Cell] = []
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
    return Cells(*_judged(cells, notes), common.left_out)


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
        raise ValueError(f"rows: the table is empty; expected one row per {noun()}, case and metric")
    kept = [row for row in rows if metrics is None or row.metric in metrics]
    absent = sorted(set(metrics or ()) - {row.metric for row in kept})
    if absent:
        raise ValueError(f"metrics {absent} are not in the table; it has {sorted({row.metric for row in rows})}")
    losses = {row.loss for row in kept}
    if len(losses) < 2:
        raise ValueError(f"the table has one {noun()} only ({losses.pop()!r}); a ranking compares at least two")

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

    if not cubes:
        raise Unusable(f"{task}: no metric has a finite value")

    # All metrics of a task must speak of the same cases: the tests over several metrics pair them case by case.
    cases, said = shared_cases(task, cubes, policy)
    notes += said
    cubes = {metric: cube.over(cases) for metric, cube in cubes.items()}

    # Cases of one patient are not independent: the group's mean is the unit of every test.
    groups = {row.case: row.case for row in rows} | {row.case: row.group for row in rows if row.group}
    cells = [_cell(task, metric, cube, groups, policy) for metric, cube in cubes.items()]
    notes += [note for metric, cube in cubes.items() for note in cube.notes(task, metric, policy)]
    notes += dict.fromkeys(note for cube in cubes.values() for note in _runs(task, cube))
    return cells


def _by_metric(rows: list[Row]) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(row.metric, []).append(row)
    return tables


def _cell(task: str, metric: str, cube: Cube, groups: Mapping[str, str], policy: str) -> Cell:
    by_run, by_case = cube.by_case(policy)
    units, member = cube.members(groups)
    return Cell(
        task=task,
        metric=metric,
        losses=cube.losses,
        cases=units,
        values=by_case @ (member / member.sum(axis=0)),
        measure=cube.measure,
        filled=cube.missing.sum(axis=(1, 2, 3)),
        absent=cube.absent.sum(axis=(1, 2, 3)),
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


def _runs(task: str, cube: Cube) -> list[str]:
    """Name the losses that have fewer runs of a case than another, on average over the cases."""
    runs = (cube.listed | cube.expected).any(axis=3).sum(axis=1).mean(axis=1)
    return [
        f"{task}: {loss} has {own:.3g} of {runs.max():.3g} runs per case; its values are averages over fewer"
        for loss, own in zip(cube.losses, runs, strict=True)
        if own < runs.max()
    ]
