"""The ranking of a long table: per task and metric, and over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.cards import spelled
from lossodyssey.ranking.cells import Cell, Cells, collect
from lossodyssey.ranking.measures import Measure
from lossodyssey.ranking.methods import METHODS, holm, mean_rank, ranks
from lossodyssey.ranking.nouns import nouns
from lossodyssey.ranking.pairs import Pairs, by_task, compare, signed_ranks
from lossodyssey.ranking.trainings import training_noise
from lossodyssey.ranking.wilcoxon import SignedRank
from lossodyssey.table import Row

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

HEADLINE_METRICS = ("DSC", "NSD")
COMPARABLE = ("significance", "holm", "rank")


@dataclass(frozen=True, eq=False)
class Standing:
    """Where the losses stand in one scope; arrays have one entry per loss, matrices [i, j] ask "i better than j?".

    The chosen method orders by `score` (larger is better); `mean_rank` is the mean over cases of the rank within the
    case. `p` and `p_holm` speak of these trained networks on new cases (signed-rank tests over cases).
    `p_retrained` and `p_holm_retrained` speak of the losses trained again, on new cases; NaN with one seed.
    """

    cell: Cell
    alpha: float
    score: Floats
    p: Floats
    p_holm: Floats
    significance_score: Floats
    significance_score_holm: Floats
    mean_rank: Floats
    pairs: Pairs
    p_retrained: Floats
    p_holm_retrained: Floats

    @property
    def retrained(self) -> bool:
        """Whether the losses can be judged as trained again: there are two or more seeds."""
        return self.pairs.retrained

    @property
    def better(self) -> Flags:
        """Where the trained networks of loss i are significantly better than those of loss j (Holm)."""
        return self.p_holm < self.alpha

    @property
    def better_retrained(self) -> Flags:
        """Where loss i is significantly better than loss j, both trained again (Holm); nowhere with one seed."""
        return self.p_holm_retrained < self.alpha

    @property
    def judged(self) -> Flags:
        """The statements that the answer rests on: about retrained losses where possible, else trained networks."""
        return self.better_retrained if self.retrained else self.better

    @property
    def best_set(self) -> Flags:
        """Losses that the data cannot exclude as the best: with 95 % (1 - alpha) the truly best is among them.

        A loss is excluded where another is better at alpha / (losses - 1): one comparison for each possible best.
        """
        # Multiple comparisons with the best (Edwards and Hsu 1983): the one error is to lose the truly best loss.
        p = self.p_retrained if self.retrained else self.p
        others = np.where(np.eye(len(p), dtype=bool), 1.0, p)
        return ~np.asarray(others.min(axis=0) < self.alpha / max(len(p) - 1, 1))

    @property
    def position(self) -> Floats:
        """Rank by the chosen method."""
        return ranks(self.score)

    @property
    def order(self) -> list[int]:
        """Indices of the losses, best first; equal scores are ordered by mean rank, then by name."""
        keys = zip(-self.score, self.mean_rank, self.cell.losses, strict=True)
        return [i for _, i in sorted((key, i) for i, key in enumerate(keys))]

    @property
    def rank_low(self) -> Counts:
        """Best rank that the tests over cases leave open: 1 + losses significantly better."""
        return rank_interval(self.better)[0]

    @property
    def rank_high(self) -> Counts:
        """Worst rank that the tests over cases leave open: n - losses significantly worse."""
        return rank_interval(self.better)[1]


def rank_interval(better: Flags) -> tuple[Counts, Counts]:
    """Return the ranks that pairwise statements leave open, from the best to the worst."""
    return 1 + better.sum(axis=0), len(better) - better.sum(axis=1)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The whole answer: a standing per task and metric, the overall standing, and notes on decisions on the way.

    `left_out` are the losses of the table that are not compared, with a reason: they were not run on all of the data.
    """

    standings: tuple[Standing, ...]
    overall: Standing
    headline: tuple[str, ...]
    method: str
    policy: str
    alpha: float
    notes: tuple[str, ...]
    two_sided: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> float:
        """Level of the uncorrected one-sided tests behind the significance score."""
        return self.alpha / 2 if self.two_sided else self.alpha

    @property
    def seeds(self) -> tuple[int, int]:
        """Fewest and most seeds that a loss was trained with in a task."""
        counts = np.stack([s.cell.seeds for s in self.standings])
        return int(counts.min()), int(counts.max())

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
    two_sided: bool = False,
    separate_classes: bool = False,
    higher_is_better: Mapping[str, bool] | None = None,
) -> Ranking:
    """Rank the losses of a long table.

    Every task (data set) and metric is ranked by itself. The overall score is the mean of the scores over tasks and
    headline metrics: those named in `metrics`, otherwise DSC and NSD as in the paper, otherwise all. Its tests see
    each pair of losses by itself, in all cases of all tasks (`pairs`). `two_sided` takes two-sided tests for the
    significance scores, as the library call that the paper's footnote names does by default.

    Raises:
        ValueError: a table or an option that cannot be ranked, see `collect`.
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

    level = alpha / 2 if two_sided else alpha
    standings = tuple(_standing(cell, method, alpha, level) for cell in cells.cells)
    headline = headline_metrics(cells, metrics)
    chosen = [s for s in standings if s.cell.metric in headline]
    notes = (*cells.notes, *_unsteady([s.cell for s in chosen]))

    overall = _overall(chosen, method, alpha)
    return Ranking(standings, overall, headline, method, policy, alpha, notes, two_sided, cells.left_out)


def _unsteady(cells: Sequence[Cell]) -> list[str]:
    """Name the losses whose training noise is not pooled with that of the others."""
    notes = []
    for task, own in by_task(cells).items():
        noise = training_noise(own)
        names = [loss for loss, pooled in zip(own[0].losses, noise.pooled, strict=True) if not pooled]
        if names:
            notes.append(
                f"{task}: {', '.join(names)}: more training noise than the other {nouns()} have (F tests at 0.01); "
                "judged by the runs of each alone"
            )
    return notes


def headline_metrics(cells: Cells, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """Name the metrics that the overall ranking averages over."""
    present = tuple(dict.fromkeys(cell.metric for cell in cells.cells))
    chosen = tuple(metric for name in HEADLINE_METRICS for metric in present if spelled(metric) == name)
    # Metrics that the user names are the user's headline, even beside DSC and NSD.
    return present if metrics or not chosen else chosen


def _standing(cell: Cell, method: str, alpha: float, level: float) -> Standing:
    """Rank one cell; `level` is that of the uncorrected one-sided tests behind the significance score."""
    # The observed cases are one draw in which each counts once: both go through the same methods.
    once = np.ones((1, len(cell.cases)), dtype=np.int64)
    p = SignedRank(cell.oriented).p_values()
    return Standing(
        cell=cell,
        alpha=alpha,
        score=METHODS[method](cell.oriented, once, level)[0],
        significance_score=(p < level).sum(axis=1).astype(float),
        mean_rank=-mean_rank(cell.oriented, once, alpha)[0],
        **_tests(p, compare([cell]), alpha),
    )


def _tests(p: Floats, pairs: Pairs, alpha: float) -> dict[str, Any]:
    """Correct the tests of both kinds for all comparisons."""
    p_holm, p_retrained = holm(p), pairs.p_retrained()
    return {
        "p": p,
        "p_holm": p_holm,
        "significance_score_holm": (p_holm < alpha).sum(axis=1).astype(float),
        "pairs": pairs,
        "p_retrained": p_retrained,
        "p_holm_retrained": holm(p_retrained) if pairs.retrained else p_retrained,
    }


def _overall(standings: list[Standing], method: str, alpha: float) -> Standing:
    """Average the scores over cells; test each pair by itself over all cases of all tasks."""
    # With one cell the overall standing is that cell's, to the last digit.
    if len(standings) == 1:
        return standings[0]

    cells = [s.cell for s in standings]
    p = SignedRank.of_pairs(signed_ranks(cells), len(cells[0].losses)).p_values()
    tests = _tests(p, compare(cells), alpha)
    # Scores are means over cells, as in the paper; only the statements pool the cases.
    tests["significance_score_holm"] = np.mean([s.significance_score_holm for s in standings], axis=0)

    return Standing(
        cell=pooled_cell(cells),
        alpha=alpha,
        score=overall_score(np.stack([s.score for s in standings]), method),
        significance_score=np.mean([s.significance_score for s in standings], axis=0),
        mean_rank=np.mean([s.mean_rank for s in standings], axis=0),
        **tests,
    )


def overall_score(scores: Floats, method: str) -> Floats:
    """Average (cells, ..., losses) scores over cells; values of unlike metrics are averaged as ranks."""
    # Means of DSC and of millimetres cannot be averaged, their ranks can.
    comparable = scores if method in COMPARABLE else -ranks(scores)
    return np.asarray(comparable.mean(axis=0), dtype=np.float64)


def pooled_cell(cells: Sequence[Cell]) -> Cell:
    """Pool all cases of all tasks in one cell, the value of a case being its mean rank over the metrics."""
    tasks = by_task(cells)
    values = [np.mean([ranks(c.oriented.T).T for c in group], axis=0) for group in tasks.values()]
    # The task's name keeps apart cases that have the same name in two data sets.
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
        absent=np.sum([cell.absent for cell in cells], axis=0),
        seed_deviation=np.full(len(losses), np.nan),
        by_run=np.empty((len(losses), 0, len(names))),
        runs=(),
    )
