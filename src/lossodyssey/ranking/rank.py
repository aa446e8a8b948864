"""The ranking of a long table: per task and metric, and over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.cells import Cell, Cells, collect
from lossodyssey.ranking.measures import Measure
from lossodyssey.ranking.methods import METHODS, holm, mean_rank, ranks
from lossodyssey.ranking.wilcoxon import SignedRank
from lossodyssey.table import Row

Floats = NDArray[np.float64]

HEADLINE_METRICS = ("DSC", "NSD")
COMPARABLE = ("significance", "holm", "rank")


@dataclass(frozen=True, eq=False)
class Standing:
    """Where the losses stand in one cell; arrays have one entry per loss, matrices [i, j] ask "i better than j?".

    `score` is what the chosen method orders by (larger is better), `position` the resulting rank (ties share the
    average), `mean_rank` the mean over cases of the rank within the case, `rank_low` and `rank_high` the interval
    that Holm-corrected comparisons leave: from 1 + losses significantly better to n - losses significantly worse.
    """

    cell: Cell
    alpha: float
    score: Floats
    p: Floats
    p_holm: Floats
    significance_score: Floats
    significance_score_holm: Floats
    mean_rank: Floats
    rank_low: NDArray[np.int64]
    rank_high: NDArray[np.int64]

    @property
    def better(self) -> NDArray[np.bool_]:
        """Where loss i is significantly better than loss j after Holm's correction."""
        return self.p_holm < self.alpha

    @property
    def position(self) -> Floats:
        """Rank by the chosen method."""
        return ranks(self.score)

    @property
    def order(self) -> list[int]:
        """Indices of the losses, best first; equal scores are ordered by mean rank, then by name."""
        keys = zip(-self.score, self.mean_rank, self.cell.losses, strict=True)
        return [i for _, i in sorted((key, i) for i, key in enumerate(keys))]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The whole answer: a standing per task and metric, the overall standing, and what had to be decided on the way."""

    standings: tuple[Standing, ...]
    overall: Standing
    headline: tuple[str, ...]
    method: str
    policy: str
    alpha: float
    notes: tuple[str, ...]

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses, in the order of the table."""
        return self.overall.cell.losses

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in the order of the table."""
        return tuple(dict.fromkeys(s.cell.task for s in self.standings))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics, in the order of the table."""
        return tuple(dict.fromkeys(s.cell.metric for s in self.standings))


def rank(
    rows: Iterable[Row],
    *,
    metrics: Sequence[str] | None = None,
    method: str = "significance",
    policy: str = "worst",
    alpha: float = 0.05,
    separate_classes: bool = False,
    higher_is_better: Mapping[str, bool] | None = None,
) -> Ranking:
    """Rank the losses of a long table.

    Every task (data set) and metric is ranked by itself. The overall score is the mean of the scores over tasks and
    headline metrics: those named in `metrics`, otherwise DSC and NSD as in the paper, otherwise all. Its tests see
    all cases of all tasks, each with its mean rank over the headline metrics. Raises ValueError for a table or an
    option that cannot be ranked, see `collect`.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is unknown; expected one of {list(METHODS)}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    cells = collect(
        rows,
        metrics=metrics,
        policy=policy,
        separate_classes=separate_classes,
        higher_is_better=higher_is_better,
    )
    standings = tuple(_standing(cell, method, alpha) for cell in cells.cells)
    headline = headline_metrics(cells, metrics)
    overall = _overall([s for s in standings if s.cell.metric in headline], method, alpha)
    return Ranking(standings, overall, headline, method, policy, alpha, cells.notes)


def headline_metrics(cells: Cells, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """Name the metrics that the overall ranking averages over."""
    present = tuple(dict.fromkeys(cell.metric for cell in cells.cells))
    chosen = tuple(metric for metric in HEADLINE_METRICS if metric in present)
    return present if metrics or not chosen else chosen


def _standing(cell: Cell, method: str, alpha: float) -> Standing:
    once = np.ones((1, len(cell.cases)), dtype=np.int64)
    p = SignedRank(cell.oriented).p_values()
    p_holm = holm(p)
    better = p_holm < alpha
    return Standing(
        cell=cell,
        alpha=alpha,
        score=METHODS[method](cell.oriented, once, alpha)[0],
        p=p,
        p_holm=p_holm,
        significance_score=(p < alpha).sum(axis=1).astype(float),
        significance_score_holm=better.sum(axis=1).astype(float),
        mean_rank=-mean_rank(cell.oriented, once, alpha)[0],
        rank_low=1 + better.sum(axis=0),
        rank_high=len(cell.losses) - better.sum(axis=1),
    )


def _overall(standings: list[Standing], method: str, alpha: float) -> Standing:
    """Average the scores over cells; test and bound the ranks on all cases, each by its mean rank over metrics."""
    if len(standings) == 1:
        return standings[0]
    pooled = _standing(pooled_cell([s.cell for s in standings]), "rank", alpha)
    return Standing(
        cell=pooled.cell,
        alpha=alpha,
        score=overall_score(np.stack([s.score for s in standings]), method),
        p=pooled.p,
        p_holm=pooled.p_holm,
        significance_score=np.mean([s.significance_score for s in standings], axis=0),
        significance_score_holm=np.mean([s.significance_score_holm for s in standings], axis=0),
        mean_rank=np.mean([s.mean_rank for s in standings], axis=0),
        rank_low=pooled.rank_low,
        rank_high=pooled.rank_high,
    )


def overall_score(scores: Floats, method: str) -> Floats:
    """Average (cells, ..., losses) scores over cells; values of unlike metrics are averaged as ranks."""
    comparable = scores if method in COMPARABLE else -ranks(scores)
    return np.asarray(comparable.mean(axis=0), dtype=np.float64)


def pooled_cell(cells: Sequence[Cell]) -> Cell:
    """All cases of all tasks in one cell, the value of a case being its mean rank over the metrics."""
    tasks = {cell.task: [c for c in cells if c.task == cell.task] for cell in cells}
    values = [np.mean([ranks(c.oriented.T).T for c in group], axis=0) for group in tasks.values()]
    names = [f"{task} / {case}" for task, group in tasks.items() for case in group[0].cases]
    losses = cells[0].losses
    return Cell(
        task="all",
        metric="all",
        losses=losses,
        cases=tuple(names),
        values=np.concatenate(values, axis=1),
        measure=Measure(higher_is_better=False, best=1.0, worst=float(len(losses)), margin=0.5),
        filled=np.sum([cell.filled for cell in cells], axis=0),
        seed_deviation=np.full(len(losses), np.nan),
    )
