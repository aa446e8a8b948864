"""Limits for a difference whose variance has several parts, each estimated with degrees of freedom of its own.

The half-widths that each part alone would have are added as squares: t1^2 V1 + t2^2 V2. For normal noise these limits
hold their level whatever the true ratio of the parts (Banerjee 1961, Sankhya A 23), where Satterthwaite's single t
breaks it as soon as the larger part rests on few degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

SMALLEST_P = 1e-300
LARGEST_QUANTILE = 1e140


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a variance; arrays of one shape. Infinite `df` is a known variance; 0 is an unknown one."""

    variance: Floats
    df: Floats

    @classmethod
    def total(cls, parts: Sequence[Part]) -> Part:
        """Add parts of the same kind, with Satterthwaite's degrees of freedom for their sum."""
        # Satterthwaite 1946: df = (sum of V_i)^2 / sum of (V_i^2 / df_i).
        variance = np.sum([part.variance for part in parts], axis=0)
        if any((part.df <= 0).any() for part in parts):
            return cls(np.full_like(variance, np.nan), np.zeros_like(variance))
        shares = np.sum([part.variance**2 / part.df for part in parts], axis=0)
        # Without any variance the quotient is 0 / 0; the fewest degrees are on the safe side.
        fewest = np.min([part.df for part in parts], axis=0)
        df = np.divide(variance**2, shares, out=np.array(fewest, dtype=float), where=shares > 0)
        return cls(variance, np.asarray(df))


def half_width(level: float | Floats, parts: Sequence[Part]) -> Floats:
    """Return the distance that the estimate exceeds, to one side, with a probability of at most `level`.

    NaN where a part is unknown (no degrees of freedom).
    """
    squares = [np.square(_quantile(level, part.df)) * part.variance for part in parts]
    return np.asarray(np.sqrt(np.sum(squares, axis=0)))


def p_value(difference: Floats, parts: Sequence[Part]) -> Floats:
    """Return one-sided p-values: the smallest level at which the limits of `difference` lie above 0.

    Without any variance the p-value is 0 above 0, and 1 at 0. NaN where a part is unknown.
    """
    # Bisection over the logarithm of the level: the sum of squares has no closed inverse, and p spans 300 decades.
    low, high = np.full(difference.shape, np.log(SMALLEST_P)), np.full(difference.shape, np.log(0.5))
    size = np.abs(difference)
    for _ in range(50):
        middle = (low + high) / 2
        beyond = size > half_width(np.exp(middle), parts)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)

    p = np.where(difference > 0, np.exp(high), 1 - np.exp(high))
    known = np.all([np.isfinite(part.variance) & (part.df > 0) for part in parts], axis=0)
    return np.where(known, np.where(difference == 0, _at_zero(parts), p), np.nan)


def _at_zero(parts: Sequence[Part]) -> Floats:
    certain = np.sum([part.variance for part in parts], axis=0) == 0
    return np.where(certain, 1.0, 0.5)


def _quantile(level: float | Floats, df: Floats) -> Floats:
    """Return the upper quantile of t, NaN without degrees of freedom; bounded, so that its square is finite."""
    usable = np.where(df > 0, df, np.nan)

    return np.asarray(np.minimum(np.abs(stdtrit(np.minimum(usable, 1e12), level)), LARGEST_QUANTILE))
