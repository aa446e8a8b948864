from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from lossodyssey.ranking.wilcoxon import SignedRank


def reference(values: np.ndarray) -> np.ndarray:
    """scipy, pair by pair; p = 1 where all differences are zero."""
    count = len(values)
    p = np.ones((count, count))
    for i in range(count):
        for j in range(count):
            difference = np.round(values[i] - values[j], 12)
            if i != j and difference.any():
                p[i, j] = wilcoxon(difference, alternative="greater").pvalue
    return p


def random_values(kind: str, cases: int, rng: np.random.Generator) -> np.ndarray:
    values = rng.normal(size=(2, cases)) + rng.choice([0, 0.3, 1.0]) * np.arange(2)[:, None]
    if kind == "ties":
        return np.round(values, 1)
    if kind == "many ties":
        return np.round(values)
    if kind == "zeros":
        values[1, : cases // 2] = values[0, : cases // 2]
    return values


@pytest.mark.parametrize("kind", ["continuous", "ties", "many ties", "zeros"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_entry_equals_scipy(kind: str) -> None:
    rng = np.random.default_rng(7)
    sizes = [*range(1, 10), *range(14, 61), *rng.integers(14, 201, size=200)]
    worst = 0.0
    for cases in sizes:
        values = random_values(kind, int(cases), rng)
        worst = max(worst, float(np.abs(SignedRank(values).p_values() - reference(values)).max()))
    assert worst <= 1e-12


@pytest.mark.parametrize("cases", [1, 5, 8, 14, 30, 50, 51, 80])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_are_repeated_pairs(cases: int) -> None:
    rng = np.random.default_rng(cases)
    values = np.round(rng.normal(size=(2, cases)), 1)
    weights = rng.multinomial(cases, np.full(cases, 1 / cases), size=3)
    p = SignedRank(values).p_values(weights)
    for draw, found in zip(weights, p, strict=True):
        assert np.allclose(found, reference(np.repeat(values, draw, axis=1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cases", [13, 14])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_sign_flips_end_where_those_of_scipy_end(cases: int) -> None:
    values = random_values("ties", cases, np.random.default_rng(3))
    p = wilcoxon(np.round(values[0] - values[1], 12), alternative="greater").pvalue
    assert SignedRank(values).p_values()[0, 1] == pytest.approx(p, abs=1e-12)


def test_identical_losses_do_not_differ_by_rule() -> None:
    for cases in (3, 20, 60):
        assert (SignedRank(np.full((2, cases), 0.5)).p_values() == 1).all()


def test_rounding_makes_ties_of_what_differs_by_floating_point_only() -> None:
    exact = np.array([[0.5, 0.25, 0.75, 1.0], [0.25, 0.5, 0.5, 0.25]])
    noisy = exact + 1e-15 * np.arange(4)
    assert np.array_equal(SignedRank(exact).p_values(), SignedRank(noisy).p_values())


def test_a_thousand_resamplings_share_one_sort() -> None:
    values = np.random.default_rng(0).normal(size=(4, 30))
    weights = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), size=10)
    together = SignedRank(values).p_values(weights)
    apart = np.stack([SignedRank(values).p_values(draw) for draw in weights])
    assert np.array_equal(together, apart)
