"""The ranking as plain records, for JSON, CSV and anybody's own figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossodyssey.ranking.bootstrap import Bootstrap, top_frequency
from lossodyssey.ranking.rank import Ranking, Standing

Record = dict[str, Any]


def records(ranking: Ranking, resampled: Bootstrap | None = None) -> list[Record]:
    """Give one record per task, metric and loss, best first; where there are several cells, the overall ones last.

    The overall records have task and metric "all" and no value of their own. Undefined numbers are None.
    """
    draws = resampled.ranks if resampled else [None] * len(ranking.standings)
    table = [r for s, own in zip(ranking.standings, draws, strict=True) for r in _standing(s, own)]
    if ranking.overall.cell.task == "all":
        table += _standing(ranking.overall, resampled.overall if resampled else None)
    return table


def _standing(standing: Standing, draws: Any) -> list[Record]:
    cell = standing.cell
    pooled = cell.task == "all"
    first, three = (top_frequency(draws, k) if draws is not None else None for k in (1, 3))
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
            "top1": None if first is None else float(first[i]),
            "top3": None if three is None else float(three[i]),
            "mean": None if pooled else float(cell.values[i].mean()),
            "median": None if pooled else float(np.median(cell.values[i])),
            "seed_deviation": None if math.isnan(cell.seed_deviation[i]) else float(cell.seed_deviation[i]),
            "cases": len(cell.cases),
            "filled": int(cell.filled[i]),
        }
        for i in standing.order
    ]
