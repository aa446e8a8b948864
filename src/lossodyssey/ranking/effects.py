"""How large the differences are, and whether they matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.bootstrap import case_weights, training_shifts
from lossodyssey.ranking.rank import Ranking, Standing

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Effects:
    """The reference loss against every loss in one cell; arrays have one entry per loss.

    `difference` is the median paired difference, positive where the reference is better, with a percentile interval
    from `low` to `high`; `mean` is the mean difference, with limits from `mean_low` to `mean_high`. Both intervals
    hold training noise where there are several seeds. `won` is the share of cases in which the reference is better
    (ties count half). `worse` and `better` count the cases in which a loss is clearly worse, or better, than the
    reference: by more than `clear`, 0.1 for shares.
    """

    standing: Standing
    reference: str
    margin: float
    difference: Floats
    low: Floats
    high: Floats
    mean: Floats
    mean_low: Floats
    mean_high: Floats
    won: Floats
    clear: float
    worse: Counts
    better: Counts

    @property
    def conclusion(self) -> tuple[str, ...]:
        """The intervals against the margin: worse, equivalent, better (than the reference), or open.

        Equivalent needs the intervals of the mean and of the median inside the margin: a loss that is as good in most
        cases and misses the object in a few is not.
        """
        medians, means = zip(self.low, self.high, strict=True), zip(self.mean_low, self.mean_high, strict=True)
        return tuple(_conclude(median, mean, self.margin) for median, mean in zip(medians, means, strict=True))

    @property
    def contradictory(self) -> tuple[bool, ...]:
        """Whether mean and tests point in different directions: the loss with the better mean is behind in the tests.

        One entry per loss, always False for the reference.
        """
        i = self.standing.cell.losses.index(self.reference)
        ahead, behind = self.standing.better[i], self.standing.better[:, i]
        return tuple(bool(flag) for flag in (ahead & (self.mean < 0)) | (behind & (self.mean > 0)))


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

    `margin` is the largest difference that does not matter, in the metric's unit; None takes the metric's own (0.01
    for shares such as DSC, 1 for distances).

    Raises:
        ValueError: the reference is not ranked, or `draws` is not positive.
    """
    if reference is not None and reference not in ranking.losses:
        raise ValueError(f"reference {reference!r} is not ranked; expected one of {list(ranking.losses)}")
    chosen = ranking.overall.order[0] if reference is None else ranking.losses.index(reference)
    # The draws of `bootstrap` under the same seed: intervals and ranks tell of the same resamplings.
    weights = case_weights(ranking, draws, seed)
    shifts = training_shifts(ranking, draws, seed)
    return [
        _effects(s, chosen, margin, weights[s.cell.task], shifts.get((s.cell.task, s.cell.metric)), confidence)
        for s in ranking.standings
    ]


def _effects(
    standing: Standing,
    chosen: int,
    margin: float | None,
    weights: NDArray[np.int64],
    shift: Floats | None,
    confidence: float,
) -> Effects:
    cell = standing.cell
    # Rounded, so that equal scores tie; np.repeat makes the resampled cases, which a median needs one by one.
    difference = np.round(cell.oriented[chosen] - cell.oriented, 12)
    medians = np.stack([np.median(np.repeat(difference, draw, axis=1), axis=1) for draw in weights])
    if shift is not None:
        medians = medians + shift[:, [chosen]] - shift

    low, high = np.quantile(medians, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    mean_low, mean_high = standing.pairs.limits(confidence)
    return Effects(
        standing=standing,
        reference=cell.losses[chosen],
        margin=cell.measure.margin if margin is None else margin,
        difference=np.median(difference, axis=1),
        low=low,
        high=high,
        mean=standing.pairs.difference[chosen],
        mean_low=mean_low[chosen],
        mean_high=mean_high[chosen],
        won=np.mean((difference > 0) + 0.5 * (difference == 0), axis=1),
        clear=cell.measure.clear,
        worse=np.sum(difference > cell.measure.clear, axis=1),
        better=np.sum(difference < -cell.measure.clear, axis=1),
    )


def _conclude(median: Sequence[float], mean: Sequence[float], margin: float) -> str:
    # Two one-sided tests (Schuirmann 1987): equivalent where the whole interval lies inside the margin.
    if all(-margin <= low and high <= margin for low, high in (median, mean)):
        return "equivalent"
    if min(median[0], mean[0]) > 0:
        return "worse"
    return "better" if max(median[1], mean[1]) < 0 else "open"
