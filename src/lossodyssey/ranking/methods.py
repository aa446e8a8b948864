"""Ranking methods: (losses, cases) values to one score per loss, for the observed cases and for each resampling.

Each takes `oriented` values (larger is better) and integer `weights` (draws, cases) that sum to the number of cases,
and returns scores (draws, losses), larger is better. All losses see the same draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lossodyssey.ranking.wilcoxon import SignedRank

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]
Method = Callable[[Floats, Weights, float], Floats]


def significance(oriented: Floats, weights: Weights, alpha: float) -> Floats:
    """Count the losses that are significantly worse (one-sided signed-rank test, uncorrected; the paper's score)."""
    test = SignedRank(oriented)
    return np.stack([(test.p_values(draw) < alpha).sum(axis=1) for draw in weights]).astype(float)


def significance_holm(oriented: Floats, weights: Weights, alpha: float) -> Floats:
    """Count the losses that are significantly worse after Holm's correction over all ordered pairs."""
    test = SignedRank(oriented)
    return np.stack([(holm(test.p_values(draw)) < alpha).sum(axis=1) for draw in weights]).astype(float)


def mean_value(oriented: Floats, weights: Weights, alpha: float) -> Floats:
    """Average over cases (mean, then rank)."""
    return np.asarray(weights @ oriented.T / weights.sum(axis=1, keepdims=True))


def median_value(oriented: Floats, weights: Weights, alpha: float) -> Floats:
    """Take the median over cases (median, then rank)."""
    return np.stack([np.median(np.repeat(oriented, draw, axis=1), axis=1) for draw in weights])


def mean_rank(oriented: Floats, weights: Weights, alpha: float) -> Floats:
    """Average over cases the rank within the case (rank, then mean), negative so that larger is better."""
    # Ranks are taken once: a draw weighs cases and leaves the order within each as it is.
    return mean_value(-ranks(oriented.T).T, weights, alpha)


METHODS: dict[str, Method] = {
    "significance": significance,
    "holm": significance_holm,
    "mean": mean_value,
    "median": median_value,
    "rank": mean_rank,
}
TITLES = {
    "significance": "significance score",
    "holm": "significance, Holm",
    "mean": "mean, then rank",
    "median": "median, then rank",
    "rank": "rank, then mean",
}


def ranks(scores: Floats) -> Floats:
    """Rank along the last axis, 1 for the largest; equal scores share the average rank."""
    # Rounded, so that means which differ only by the order of their sum tie.
    return np.asarray(rankdata(-np.round(scores, 12), axis=-1), dtype=np.float64)


def holm(p: Floats) -> Floats:
    """Adjust the p-values of all ordered pairs of a (losses, losses) matrix by Holm's method; the diagonal stays 1."""
    # Holm 1979: the k-th smallest of m times (m - k + 1), made monotone by the running maximum.
    pairs = ~np.eye(len(p), dtype=bool)
    flat = p[pairs]
    order = np.argsort(flat)
    stepped = np.maximum.accumulate(flat[order] * np.arange(len(flat), 0, -1))
    adjusted = np.ones_like(p)
    flat[order] = np.minimum(stepped, 1)
    adjusted[pairs] = flat
    return adjusted
