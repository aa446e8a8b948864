"""The ranking as plain records, for JSON, CSV and anybody's own figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lossodyssey.ranking.bootstrap import Bootstrap, top_frequency
from lossodyssey.ranking.means import Means
from lossodyssey.ranking.rank import Ranking, Standing, rank_interval

Record = dict[str, Any]

OVERALL = "overall"


def records(
    ranking: Ranking, resampled: Bootstrap | None = None, intervals: Sequence[Means] | None = None
) -> list[Record]:
    """Return one record per task, metric and loss, best first; where there are several cells, the overall ones last.

    The overall records have task and metric "all" and no value of their own. `rank_low` to `rank_high` hold for these
    trained networks, `rank_low_retrained` to `rank_high_retrained` for the losses trained again (None with one seed).
    `top1` and `top3` need `resampled`, `mean_low` and `mean_high` need `intervals`. Undefined numbers are None.
    """
    nothing = [None] * len(ranking.standings)
    draws, means = resampled.ranks if resampled else nothing, intervals or nothing
    cells = zip(ranking.standings, draws, means, strict=True)
    table = [record for s, drawn, own in cells for record in _standing(s, drawn, own)]
    if ranking.overall.cell.task == "all":
        table += _standing(ranking.overall, resampled.overall if resampled else None, None)
    return table


def _standing(standing: Standing, draws: Any, means: Means | None) -> list[Record]:
    cell = standing.cell
    # The pooled cell holds ranks: a mean of them under the name of a metric would mislead.
    pooled = cell.task == "all"
    first, three = (top_frequency(draws, k) if draws is not None else None for k in (1, 3))
    low, high = rank_interval(standing.better_retrained) if standing.retrained else (None, None)
    best = standing.best_set
    return [
        {
            "loss": cell.losses[i],
            "task": cell.task,
            "metric": cell.metric,
            "rank": float(standing.position[i]),
            "score": float(standing.score[i]),
            "significance_score": float(standing.significance_score[i]),
            "significance_score_holm": float(standing.significance_score_holm[i]),
            "mean_rank": float(standing.mean_rank[i]),
            "rank_low": int(standing.rank_low[i]),
            "rank_high": int(standing.rank_high[i]),
            "rank_low_retrained": None if low is None else int(low[i]),
            "rank_high_retrained": None if high is None else int(high[i]),
            "in_best_set": bool(best[i]),
            "top1": None if first is None else float(first[i]),
            "top3": None if three is None else float(three[i]),
            "mean": None if pooled else float(cell.values[i].mean()),
            "mean_low": None if means is None else number(means.low[i]),
            "mean_high": None if means is None else number(means.high[i]),
            "median": None if pooled else float(np.median(cell.values[i])),
            "seed_deviation": number(cell.seed_deviation[i]),
            "cases": len(cell.cases),
            "filled": int(cell.filled[i]),
        }
        for i in standing.order
    ]


def pair_records(ranking: Ranking) -> list[Record]:
    """Return one record per pair of losses and scope: every task and metric, then overall.

    `difference` is `loss` minus `other` turned so that larger is better, over cases, seeds and, overall, headline
    metrics and tasks, in `unit`; the loss ahead is named first. `low` to `high` is its 95 % interval, with training
    noise where there are several seeds. `p_cases` (signed-rank test over cases) and `p_retrained` are two-sided and
    uncorrected; `holm_cases` and `holm_retrained` are corrected for all comparisons of the scope. `chance_false` is
    the probability that `loss` is not truly better, `tipping_point` the largest run-to-run standard deviation under
    which a difference would still be shown.
    """
    scopes = [*ranking.standings, *([ranking.overall] if ranking.overall.cell.task == "all" else [])]
    table = [record for standing in scopes for record in _pairs(standing, standing.cell.task, standing.cell.metric)]
    # With one cell the overall statement is the cell's; readers of the file still find it under its name.
    if len(scopes) == 1:
        table += _pairs(ranking.overall, OVERALL, ranking.overall.cell.metric)
    return table


def _pairs(standing: Standing, task: str, metric: str) -> list[Record]:
    pairs, losses = standing.pairs, standing.cell.losses
    low, high = pairs.limits()
    false, tipping = pairs.chance_false(), pairs.tipping_point(standing.alpha)

    # The loss ahead is named first, so that every difference reads as a lead.
    ahead = pairs.difference >= 0
    chosen = [(i, j) if ahead[i, j] else (j, i) for i in range(len(losses)) for j in range(i + 1, len(losses))]
    return [
        {
            "loss": losses[i],
            "other": losses[j],
            "scope": OVERALL if task == "all" else task,
            "metric": metric,
            "difference": float(pairs.difference[i, j]),
            "low": number(low[i, j]),
            "high": number(high[i, j]),
            "unit": pairs.unit,
            "p_cases": float(_two_sided(standing.p, i, j)),
            "p_retrained": number(_two_sided(standing.p_retrained, i, j)),
            "holm_cases": float(min(standing.p_holm[i, j], standing.p_holm[j, i])),
            "holm_retrained": number(np.minimum(standing.p_holm_retrained[i, j], standing.p_holm_retrained[j, i])),
            "chance_false": number(false[i, j]),
            "tipping_point": number(tipping[i, j]),
            "cases": len(standing.cell.cases),
        }
        for i, j in chosen
    ]


def _two_sided(p: Any, i: int, j: int) -> float:
    # Twice the smaller tail, at most 1.
    return float(np.minimum(2 * np.minimum(p[i, j], p[j, i]), 1))


def number(value: float) -> float | None:
    """Return a number as JSON has it: None for NaN."""
    return None if math.isnan(value) else float(value)
