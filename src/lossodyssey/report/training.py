"""The cost of training and the missing results, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lossodyssey.ranking.nouns import noun
from lossodyssey.ranking.rank import Ranking
from lossodyssey.report.columns import Cell, Column, Grid
from lossodyssey.report.render import duration, memory, number
from lossodyssey.report.runs import RunSummary, costs
from lossodyssey.table import Row


def spending(ranking: Ranking, runs: Sequence[RunSummary]) -> Grid | None:
    """Arrange the cost of each loss and its deviation over seeds; None where neither is known of any loss."""
    steady = {ranking.losses[i]: _deviation(ranking, i) for i in ranking.overall.order}
    owned = {loss: [run for run in runs if run.loss == loss] for loss in steady}
    losses = [loss for loss in steady if owned[loss] or np.isfinite(steady[loss])]
    if not losses:
        return None

    spent = costs(runs)
    time = {loss: spent[loss].seconds if loss in spent else float("nan") for loss in losses}
    peak = {loss: spent[loss].peak_memory_bytes if loss in spent else float("nan") for loss in losses}

    columns = [
        Column(noun().capitalize(), [Cell(loss) for loss in losses], kind="name"),
        Column("Finished", [_finished(owned[loss]) for loss in losses]),
        Column("Time per run", [Cell(duration(time[loss]), sort=time[loss]) for loss in losses]),
        Column("Peak memory", [Cell(memory(peak[loss]), sort=peak[loss]) for loss in losses]),
        Column("Deviation over seeds", [Cell(number(steady[loss], 4)) for loss in losses]),
    ]

    # A rate that all losses share stands among the settings.
    if len({rate for loss in losses for rate in _rates(owned[loss])}) > 1:
        columns.append(Column("Learning rate", [_rate(_rates(owned[loss])) for loss in losses]))

    # A column of empty cells would only raise questions.
    failures = [Cell(_failures(owned[loss])) for loss in losses]
    if any(cell.text for cell in failures):
        columns.append(Column("Failures", failures, kind="text"))
    return Grid("spending", "Cost of training", columns)


def shared_settings(runs: Sequence[RunSummary]) -> list[tuple[str, str]]:
    """List the settings of the runs: the value of each, and in what range it lies where the runs differ in it."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [(name, _told([run.settings[name] for run in runs if name in run.settings])) for name in names]


def _told(values: Sequence[object]) -> str:
    several = [value for i, value in enumerate(values) if value not in values[:i]]
    if len(several) == 1:
        return str(several[0])
    numbers = [value for value in several if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(several):
        return f"{min(numbers):g} to {max(numbers):g}, by run"
    return "; ".join(map(str, several))


def _rates(runs: Sequence[RunSummary]) -> list[float]:
    found = (run.settings.get("learning_rate") for run in runs)
    return sorted({float(rate) for rate in found if isinstance(rate, int | float)})


def _rate(rates: Sequence[float]) -> Cell:
    """Write the rate of a loss, or the range of those that data sets and folds have."""
    text = " to ".join(f"{rate:g}" for rate in dict.fromkeys((rates[0], rates[-1]))) if rates else "–"
    return Cell(text, sort=rates[0] if rates else float("nan"))


def statuses(rows: Sequence[Row]) -> Grid | None:
    """Count, per loss and metric, the entries that are not plain values; None where all are."""
    names = sorted({row.status for row in rows} - {"ok"})
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        if row.status != "ok":
            own = counts.setdefault((row.loss, row.metric), dict.fromkeys(names, 0))
            own[row.status] += 1
    if not counts:
        return None
    columns = [
        Column(noun().capitalize(), [Cell(loss) for loss, _ in counts], kind="name"),
        Column("Metric", [Cell(metric) for _, metric in counts], kind="text"),
        *(Column(name, [Cell(str(own[name])) for own in counts.values()]) for name in names),
    ]
    return Grid("statuses", "Missing and empty results", columns)


def _deviation(ranking: Ranking, loss: int) -> float:
    deviations = [s.cell.seed_deviation[loss] for s in ranking.standings if s.cell.metric in ranking.headline]
    known = [value for value in deviations if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _finished(runs: Sequence[RunSummary]) -> Cell:
    finished = sum(run.status == "finished" for run in runs)
    return Cell(f"{finished} of {len(runs)}" if runs else "–", sort=finished)


def _failures(runs: Sequence[RunSummary]) -> str:
    return "; ".join(sorted({f"{run.status}: {run.reason}" for run in runs if run.status != "finished"}))
