"""The leaderboard, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lossodyssey.ranking.bootstrap import Bootstrap, top_frequency
from lossodyssey.ranking.cells import Cell as MetricCell
from lossodyssey.ranking.means import Means
from lossodyssey.ranking.nouns import noun
from lossodyssey.ranking.rank import Counts, Ranking, Standing, rank_interval
from lossodyssey.report.columns import Cell, Column, Grid
from lossodyssey.report.marks import marks
from lossodyssey.report.render import number

MOST_METRIC_COLUMNS = 8


def leaderboard(
    ranking: Ranking,
    resampled: Bootstrap,
    strong: Sequence[str],
    tasks: Mapping[str, str],
    intervals: Sequence[Means] = (),
) -> Grid:
    """Arrange the ranks, means and scores of every loss, best first, the most important ones on the left.

    `strong` are the losses to stand out, `tasks` the names of the tasks in headings, `intervals` those of the means,
    one per standing.
    """
    order = ranking.overall.order
    metrics = _over_tasks(ranking, order) if _crowded(ranking) else _each(ranking, order, tasks, intervals)
    ranks = _ranks(ranking, order)
    columns = [*_names(ranking, order), ranks[0], *metrics, *ranks[1:], *_scores(ranking, resampled, order)]
    return Grid("leaders", "Leaderboard", columns, [ranking.losses[i] in strong for i in order])


def task_by_task(ranking: Ranking, strong: Sequence[str], intervals: Sequence[Means] = ()) -> list[Grid]:
    """Arrange the metrics of each task in a table of its own, where the leaderboard has no room for them."""
    order = ranking.overall.order
    rows = [ranking.losses[i] in strong for i in order]
    known = _paired(ranking, intervals)
    return [
        Grid(f"task{number}", task, [*_names(ranking, order), *(_metric(s, order, own) for s, own in shown)], rows)
        for number, task in enumerate(ranking.tasks if _crowded(ranking) else (), 1)
        if (shown := [(s, own) for s, own in known if s.cell.task == task])
    ]


def _paired(ranking: Ranking, intervals: Sequence[Means]) -> list[tuple[Standing, Means | None]]:
    nothing = [None] * len(ranking.standings)
    return list(zip(ranking.standings, intervals or nothing, strict=True))


def _crowded(ranking: Ranking) -> bool:
    # A table of forty columns is read by nobody: means over tasks here, each task in a table below.
    return len(ranking.tasks) > 1 and len(ranking.standings) > MOST_METRIC_COLUMNS


def _names(ranking: Ranking, order: Sequence[int]) -> list[Column]:
    places = [Cell(str(place)) for place in range(1, len(order) + 1)]
    return [
        Column("#", places, kind="place"),
        Column(noun().capitalize(), [Cell(ranking.losses[i]) for i in order], kind="name"),
    ]


def _ranks(ranking: Ranking, order: Sequence[int]) -> list[Column]:
    """Arrange the ranks that the answer rests on; behind them, with several seeds, those of these trained networks."""
    standing, title = ranking.overall, "Ranks"
    columns = []
    if standing.retrained:
        columns.append(_rank_column(title, rank_interval(standing.better_retrained), order))
        title = "Ranks, these networks"
    own = _rank_column(title, (standing.rank_low, standing.rank_high), order)
    best = _minor("Best set", (Cell("yes" if standing.best_set[i] else "no") for i in order))
    return [*columns, replace(own, minor=bool(columns)), best]


def _rank_column(title: str, ends: tuple[Counts, Counts], order: Sequence[int]) -> Column:
    return Column(title, [_interval(int(ends[0][i]), int(ends[1][i]), len(order)) for i in order])


def _interval(low: int, high: int, count: int) -> Cell:
    text = str(low) if low == high else f"{low}–{high}"
    # Sorted by the middle of the interval, twice of which is low + high.
    return Cell(text, sort=low + high, bar=((low - 1) / count, high / count))


def _each(ranking: Ranking, order: Sequence[int], tasks: Mapping[str, str], intervals: Sequence[Means]) -> list[Column]:
    grouped = len(ranking.tasks) > 1
    known = _paired(ranking, intervals)
    return [_metric(s, order, own, tasks[s.cell.task] if grouped else "") for s, own in known]


def _over_tasks(ranking: Ranking, order: Sequence[int]) -> list[Column]:
    """Average each metric over the tasks that have it; such a mean is not tested, so it carries no mark."""
    columns = []
    for metric in ranking.metrics:
        own = [s.cell for s in ranking.standings if s.cell.metric == metric]
        means = np.mean([cell.values.mean(axis=1) for cell in own], axis=0)
        cells = [Cell(number(means[i])) for i in order]
        columns.append(Column(_title(own[0]), cells, group=f"mean over {len(own)} data sets"))
    return columns


def _metric(standing: Standing, order: Sequence[int], own: Means | None, group: str = "") -> Column:
    found = marks(standing)
    means = standing.cell.values.mean(axis=1)
    between = [f"{number(own.low[i])}–{number(own.high[i])}" if own else "" for i in order]
    cells = [
        Cell(number(means[i]), sort=float(means[i]), mark=found[i], detail=ends)
        for i, ends in zip(order, between, strict=True)
    ]
    return Column(_title(standing.cell), cells, group=group)


def _title(cell: MetricCell) -> str:
    return cell.measure.titled(cell.metric)


def _scores(ranking: Ranking, resampled: Bootstrap, order: Sequence[int]) -> list[Column]:
    overall = ranking.overall
    first, three = (top_frequency(resampled.overall, k) for k in (1, 3))
    return [
        _minor("Score", (Cell(number(overall.score[i], 2)) for i in order)),
        _minor("Holm", (Cell(number(overall.significance_score_holm[i], 2)) for i in order)),
        _minor("Mean rank", (Cell(number(overall.mean_rank[i], 2)) for i in order)),
        _minor("First", (_share(first[i]) for i in order)),
        _minor("Top 3", (_share(three[i]) for i in order)),
    ]


def _minor(title: str, cells: Iterable[Cell]) -> Column:
    return Column(title, list(cells), minor=True)


def _share(value: float) -> Cell:
    return Cell(f"{100 * value:.0f}\u00a0%", sort=float(value))
