"""How large the differences are, and whether they are worth distinguishing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.bootstrap import case_weights
from lossodyssey.ranking.rank import Ranking, Standing

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effects:
    """The reference loss against every loss in one cell; arrays have one entry per loss.

    `difference` is the median paired difference, positive where the reference is better, with a percentile interval
    from `low` to `high`; `won` the share of cases in which the reference is better (ties count half).
    """

    standing: Standing
    reference: str
    margin: float
    difference: Floats
    low: Floats
    high: Floats
    won: Floats

    @property
    def conclusion(self) -> tuple[str, ...]:
        """What the interval says against the margin: worse, equivalent, better (than the reference), or open."""
        return tuple(_conclude(low, high, self.margin) for low, high in zip(self.low, self.high, strict=True))


def effects(
    ranking: Ranking,
    *,
    reference: str | None = None,
    margin: float | None = None,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Effects]:
    """Compare a loss (the leader, unless named) with all others, cell by cell.

    `margin` is the difference not worth distinguishing, in the metric's unit; None takes the metric's own (0.01 for
    shares such as DSC, 1 for distances).
    """
    if reference is not None and reference not in ranking.losses:
        raise ValueError(f"reference {reference!r} is not ranked; expected one of {list(ranking.losses)}")
    chosen = ranking.overall.order[0] if reference is None else ranking.losses.index(reference)
    weights = case_weights(ranking, draws, seed)
    quantiles = ((1 - confidence) / 2, (1 + confidence) / 2)
    return [_effects(s, chosen, margin, weights[s.cell.task], quantiles) for s in ranking.standings]


def _effects(
    standing: Standing, chosen: int, margin: float | None, weights: NDArray[np.int64], quantiles: Sequence[float]
) -> Effects:
    cell = standing.cell
    difference = np.round(cell.oriented[chosen] - cell.oriented, 12)
    medians = np.stack([np.median(np.repeat(difference, draw, axis=1), axis=1) for draw in weights])
    low, high = np.quantile(medians, quantiles, axis=0)
    return Effects(
        standing=standing,
        reference=cell.losses[chosen],
        margin=cell.measure.margin if margin is None else margin,
        difference=np.median(difference, axis=1),
        low=low,
        high=high,
        won=np.mean((difference > 0) + 0.5 * (difference == 0), axis=1),
    )


def _conclude(low: float, high: float, margin: float) -> str:
    if -margin <= low and high <= margin:
        return "equivalent"
    if low > 0:
        return "worse"
    return "better" if high < 0 else "open"
