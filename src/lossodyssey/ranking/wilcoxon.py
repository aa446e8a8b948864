"""Wilcoxon signed-rank tests of all pairs of losses at once, for the observed cases and for resampled ones.

A resampled set of cases is a weight per case (how often it was drawn), so the differences are sorted once and every
draw costs one cumulative sum. Pairs drawn twice are two tied pairs, as they would be in any resampled table.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

EXACT_UP_TO = 50
PERMUTED_UP_TO = 13
DECIMALS = 12


class SignedRank:
    """The paired differences of all losses, prepared for testing.

    `values` is (losses, cases), larger is better, all finite. Differences are rounded to 12 decimals so that ties are
    ties. Which distribution is used follows `scipy.stats.wilcoxon(method="auto", zero_method="wilcox")` of scipy 1.17:
    exact up to 50 cases without ties and zeros; all sign flips up to 13 cases with them; otherwise the normal
    approximation, corrected for ties, without continuity correction. Only zero differences: p = 1 (scipy: NaN).
    """

    def __init__(self, values: Floats) -> None:
        first, second = np.triu_indices(len(values), 1)
        self._prepare(values[first] - values[second], len(values))

    @classmethod
    def of_pairs(cls, differences: Floats, losses: int) -> SignedRank:
        """Prepare given differences (pairs, cases), the pairs in the order of `np.triu_indices(losses, 1)`."""
        test = cls.__new__(cls)
        test._prepare(differences, losses)
        return test

    def _prepare(self, differences: Floats, losses: int) -> None:
        self.losses = losses
        self.first, self.second = np.triu_indices(losses, 1)
        difference = np.round(differences, DECIMALS)
        size = np.abs(difference)
        # Sorted once: under a draw ranks are cumulative weights along this order, so no draw sorts again.
        self.order = np.argsort(size, axis=1)
        size = np.take_along_axis(size, self.order, axis=1)
        self.positive = np.take_along_axis(difference, self.order, axis=1) > 0
        self.nonzero = size > 0
        self.ties = _tie_bounds(size)

    def p_values(self, weights: NDArray[np.int64] | None = None) -> Floats:
        """Return one-sided p-values, (..., losses, losses): small at [i, j] where loss i is better than loss j.

        `weights` (..., cases) says how often each case counts, once each by default. The diagonal is 1.
        """
        if weights is None:
            weights = np.ones(self.order.shape[1], dtype=np.int64)
        drawn = weights[..., self.order]
        better, worse = self._both_sides(drawn, cases=int(weights.reshape(-1, weights.shape[-1])[0].sum()))
        p = np.ones((*weights.shape[:-1], self.losses, self.losses))
        p[..., self.first, self.second] = better
        p[..., self.second, self.first] = worse
        return p

    def _both_sides(self, drawn: NDArray[np.int64], cases: int) -> tuple[Floats, Floats]:
        # Zeros leave (Wilcoxon's rule). A difference of weight w takes the ranks lower + 1 ... upper, all tied.
        weight = np.where(self.nonzero, drawn, 0).astype(float)
        upper = np.cumsum(weight, axis=-1)
        lower = upper - weight
        count = upper[..., -1]
        if self.ties is not None:
            upper = _pick(upper, self.ties[1])
            lower = _pick(lower, self.ties[0])
        rank = (lower + upper + 1) / 2
        rank_sum = np.einsum("...n,...n->...", weight * self.positive, rank)
        # The sum of t^3 - t over runs of t ties, written per element: each of the t has (t^2 - 1).
        tied = np.einsum("...n,...n->...", weight, (upper - lower) ** 2 - 1)

        # The normal approximation for all draws, then exact tails over it where scipy's rule takes them.
        better, worse = _normal(rank_sum, count, tied)
        plain = (tied == 0) & (count == cases)
        if cases <= EXACT_UP_TO and plain.any():
            better[plain], worse[plain] = _exact(rank_sum[plain], cases)
        if cases <= PERMUTED_UP_TO and not plain.all():
            ranks = np.repeat(np.where(self.nonzero, rank, 0)[~plain].ravel(), drawn[~plain].ravel())
            better[~plain], worse[~plain] = _permuted(rank_sum[~plain], ranks.reshape(-1, cases))
        return better, worse


def _tie_bounds(size: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Find first and last position of each element's run of equal sizes; None where no two sizes are equal."""
    change = size[:, 1:] != size[:, :-1]
    if change.all():
        return None
    edge = np.ones((len(size), 1), dtype=bool)
    position = np.arange(size.shape[1])
    # Running maxima of the starts, and minima of the stops from behind, carry the bounds over each run.
    start = np.where(np.hstack([edge, change]), position, 0)
    stop = np.where(np.hstack([change, edge]), position, size.shape[1])
    return np.maximum.accumulate(start, axis=1), np.minimum.accumulate(stop[:, ::-1], axis=1)[:, ::-1]


def _pick(values: Floats, index: NDArray[np.int64]) -> Floats:
    return np.take_along_axis(values, np.broadcast_to(index, values.shape), axis=-1)


def _normal(rank_sum: Floats, count: Floats, tied: Floats) -> tuple[Floats, Floats]:
    # Var = n (n + 1)(2n + 1) / 24 - sum of (t^3 - t) / 48.
    deviation = np.sqrt((count * (count + 1) * (2 * count + 1) - tied / 2) / 24)
    excess = rank_sum - count * (count + 1) / 4
    # No case differs at all: nothing speaks for either side.
    scale = np.where(count > 0, deviation, 1.0)
    better, worse = ndtr(-excess / scale), ndtr(excess / scale)
    return np.where(count > 0, better, 1.0), np.where(count > 0, worse, 1.0)


def _exact(rank_sum: Floats, cases: int) -> tuple[Floats, Floats]:
    below = _rank_sum_distribution(cases)
    total = cases * (cases + 1) // 2
    reached = rank_sum.astype(np.int64)
    return below[total - reached], below[reached]


@lru_cache(maxsize=EXACT_UP_TO)
def _rank_sum_distribution(cases: int) -> Floats:
    """Compute P(sum of the positive ranks <= k) for k = 0 .. n(n+1)/2, no ties."""
    # Each rank is in the sum or not: multiplying by (1 + x^rank) counts the ways to every sum.
    ways = np.ones(1)
    for rank in range(1, cases + 1):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    return np.cumsum(ways) / 2.0**cases


def _permuted(rank_sum: Floats, ranks: Floats) -> tuple[Floats, Floats]:
    """Compute exact tails given the (tests, cases) ranks with ties; zero differences have rank 0."""
    # Tied ranks are halves, so twice the ranks are whole numbers and the same counting of ways works.
    doubled = np.rint(2 * ranks).astype(np.int64)
    total = doubled.sum(axis=1, keepdims=True)
    sums = np.arange(total.max() + 1)
    ways = np.zeros((len(ranks), len(sums)))
    ways[:, 0] = 1
    for step in doubled.T:
        source = sums - step[:, None]
        ways += np.where(source >= 0, np.take_along_axis(ways, np.maximum(source, 0), axis=1), 0)
    below = np.cumsum(ways, axis=1) / 2.0 ** ranks.shape[1]
    reached = np.rint(2 * rank_sum).astype(np.int64)[:, None]
    better = np.take_along_axis(below, total - reached, axis=1)[:, 0]
    return better, np.take_along_axis(below, reached, axis=1)[:, 0]
