"""An interval beside every mean, and the leader's mean corrected for having been chosen."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lossodyssey.ranking.bootstrap import Bootstrap
from lossodyssey.ranking.cells import Cell
from lossodyssey.ranking.limits import Part, half_width
from lossodyssey.ranking.pairs import by_task
from lossodyssey.ranking.rank import Ranking
from lossodyssey.ranking.trainings import training_noise

Floats = NDArray[np.float64]

SMALL_BATCH = 100
"""Resamplings at a time: 30 losses of 1,000 cases would take a quarter of a gigabyte at once."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means of one cell with their intervals, one entry per loss, in the metric's own direction.

    `retrained` says whether the intervals hold training noise beside the choice of cases.
    """

    mean: Floats
    low: Floats
    high: Floats
    retrained: bool


def mean_intervals(ranking: Ranking, draws: int = 1000, seed: int = 0, confidence: float = 0.95) -> list[Means]:
    """Return the means of every standing with their intervals.

    Cases: bootstrap, bias-corrected and accelerated (BCa, Efron 1987), or Student's limits where `draws` is 0. With
    several seeds the half-width that seed and loss x seed have is added as a square (see `limits`), so that the
    interval speaks of the loss trained again.
    """
    found: dict[tuple[str, str], Means] = {}
    for task, cells in by_task([s.cell for s in ranking.standings]).items():
        noise = training_noise(cells)
        for k, cell in enumerate(cells):
            # The same seed for all cells: metrics of a task see the same draws.
            low, high = bca(cell.values, draws, seed, confidence) if draws else _student(cell.values, confidence)
            trained = half_width((1 - confidence) / 2, [noise.of_mean(k)])
            found[task, cell.metric] = _widened(cell, low, high, trained)
    return [found[s.cell.task, s.cell.metric] for s in ranking.standings]


def bca(values: Floats, draws: int, seed: int, confidence: float) -> tuple[Floats, Floats]:
    """Return BCa limits of the mean of each row; a row without differences is its own interval.

    Student's limits stand where the draws leave the BCa ones undefined.
    """
    # scipy's BCa divides by the spread: constant rows, such as all zeros, keep their mean as both ends.
    low, high = values.mean(axis=1), values.mean(axis=1)
    varied = np.ptp(values, axis=1) > 0
    if varied.any() and values.shape[1] > 1:
        rng = np.random.default_rng(seed)
        own = (values[varied],)
        options = {"n_resamples": draws, "confidence_level": confidence, "method": "BCa", "random_state": rng}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # A handful of draws may all lie on one side of the mean.
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            interval = stats.bootstrap(own, np.mean, axis=-1, batch=SMALL_BATCH, **options).confidence_interval
        plain = _student(values[varied], confidence)
        known = np.isfinite(interval.low) & np.isfinite(interval.high)
        low[varied], high[varied] = (np.where(known, ends, t) for ends, t in zip(interval, plain, strict=True))
    return low, high


def _student(values: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return t limits of the mean of each row; a row of one case is its own interval."""
    mean, count = values.mean(axis=1), values.shape[1]
    if count < 2:
        return mean, mean
    half = half_width((1 - confidence) / 2, [Part(values.var(axis=1, ddof=1) / count, np.full(len(mean), count - 1.0))])
    return mean - half, mean + half


def corrected_leader(ranking: Ranking, resampled: Bootstrap) -> list[float]:
    """Return, per standing, the leader's mean less the bias of having been chosen among the losses.

    In every draw the winner's drawn mean exceeds its observed one by its luck in that draw; the average of this excess
    is taken off the observed leader's mean.
    """
    leads = resampled.overall == resampled.overall.min(axis=1, keepdims=True)
    # Losses that tie for the first place share the draw.
    share = leads / leads.sum(axis=1, keepdims=True)
    leader = ranking.overall.order[0]
    return [
        _without_luck(s.cell, leader, drawn, share) for s, drawn in zip(ranking.standings, resampled.means, strict=True)
    ]


def _without_luck(cell: Cell, leader: int, drawn: Floats, share: Floats) -> float:
    means = cell.values.mean(axis=1)
    mean, luck = float(means[leader]), float(((drawn - means) * share).sum(axis=1).mean())
    low, high = cell.measure.range
    return min(max(mean - luck, min(low, mean)), max(high, mean))


def _widened(cell: Cell, low: Floats, high: Floats, trained: Floats) -> Means:
    mean = cell.values.mean(axis=1)
    known = bool(np.isfinite(trained).all())
    extra = trained if known else np.zeros_like(mean)
    # Squares of independent half-widths add (`limits`); side by side, because BCa intervals are not symmetric.
    low, high = mean - np.hypot(mean - low, extra), mean + np.hypot(high - mean, extra)
    # A DSC above 1 is impossible, whatever the widened interval says.
    least, greatest = np.minimum(cell.measure.range[0], mean), np.maximum(cell.measure.range[1], mean)
    return Means(mean, np.maximum(low, least), np.minimum(high, greatest), known)
