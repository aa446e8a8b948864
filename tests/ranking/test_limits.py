"""Limits of a difference whose variance has parts with degrees of freedom of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from lossodyssey.ranking.limits import Part, half_width, p_value


def part(variance: float, df: float) -> Part:
    return Part(np.array([variance]), np.array([df]))


@pytest.mark.parametrize("level", [0.025, 0.05 / 56, 1e-8])
def test_known_variances_give_the_normal_limits(level: float) -> None:
    width = half_width(level, [part(4.0, np.inf), part(5.0, np.inf)])
    assert width == pytest.approx(3 * norm.isf(level), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 39])
def test_one_part_gives_the_limits_of_t(df: int) -> None:
    assert half_width(0.025, [part(9.0, df)]) == pytest.approx(3 * t.isf(0.025, df), rel=1e-9)
    assert half_width(0.025, [part(9.0, df), part(0.0, 1)]) == pytest.approx(3 * t.isf(0.025, df), rel=1e-9)


def test_half_widths_of_parts_add_up_as_squares() -> None:
    alone = half_width(0.01, [part(2.0, 3)]), half_width(0.01, [part(0.5, 30)])
    assert half_width(0.01, [part(2.0, 3), part(0.5, 30)]) == pytest.approx(np.hypot(*alone), rel=1e-12)


def test_a_p_value_is_the_level_whose_half_width_is_the_difference() -> None:
    rng = np.random.default_rng(0)
    parts = [
        Part(rng.uniform(0.1, 2, 40), rng.integers(1, 9, 40) * 1.0),
        Part(rng.uniform(0, 2, 40), np.full(40, 39.0)),
    ]
    difference = rng.uniform(0.1, 20, 40)
    p = p_value(difference, parts)
    assert half_width(p, parts) == pytest.approx(difference, rel=1e-6)
    assert p_value(-difference, parts) == pytest.approx(1 - p)


def test_p_values_of_one_part_are_those_of_t() -> None:
    difference = np.array([-2.0, -0.1, 0.0, 0.3, 4.0])
    p = p_value(difference, [Part(np.full(5, 2.0), np.full(5, 7.0))])
    assert p == pytest.approx(t.sf(difference / np.sqrt(2), 7), rel=1e-6)


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 39.0, np.inf])
def test_without_variance_every_difference_is_certain(df: float) -> None:
    parts = [Part(np.zeros(3), np.full(3, own)) for own in (df, 39.0)]
    p = p_value(np.array([-1e-9, 0.0, 1e-9]), parts)
    assert p.tolist() == pytest.approx([1, 1, 0], abs=1e-200)


def test_trainings_that_do_not_differ_leave_the_p_values_of_cases() -> None:
    cases = Part(np.full(3, 0.01), np.full(3, 39.0))
    difference = np.array([0.1, 0.3, 2.0])
    assert p_value(difference, [cases, Part(np.zeros(3), np.ones(3))]).tolist() == p_value(difference, [cases]).tolist()


@pytest.mark.parametrize("unknown", [part(1.0, 0), part(np.nan, 0), part(np.nan, 5)])
def test_an_unknown_part_leaves_everything_unknown(unknown: Part) -> None:
    assert np.isnan(half_width(0.05, [part(1.0, 9), unknown])).all()
    assert np.isnan(p_value(np.array([3.0]), [part(1.0, 9), unknown])).all()


@pytest.mark.parametrize("df", [(1, 39), (2, 19), (4, 8), (3, 3)])
@pytest.mark.parametrize("level", [0.05, 0.025, 0.0025])
def test_limits_hold_their_level_whatever_the_ratio_of_the_variances(df: tuple[int, int], level: float) -> None:
    """Banerjee's guarantee; 100,000 draws put the error of a share at 0.0007 or less."""
    draws = 100_000
    rng = np.random.default_rng(1)
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        true = share, 1 - share
        error = rng.normal(size=draws)
        drawn = [
            Part(v * rng.chisquare(own, draws) / own, np.array([float(own)])) for v, own in zip(true, df, strict=True)
        ]
        beyond = float((error > half_width(level, drawn)).mean())
        assert beyond <= level + 4 * np.sqrt(level / draws), share


def test_a_single_t_would_break_the_level() -> None:
    """Satterthwaite's degrees of freedom for a sum whose larger part has one degree: why the parts stay apart."""
    rng = np.random.default_rng(2)
    error = rng.normal(size=50_000)
    parts = [Part(v * rng.chisquare(df, 50_000) / df, np.full(50_000, df)) for v, df in ((0.7, 1.0), (0.3, 39.0))]
    assert (error > half_width(0.05, parts)).mean() < 0.05
    assert (error > half_width(0.05, [Part.total(parts)])).mean() > 0.065


def test_a_total_has_the_degrees_of_freedom_of_satterthwaite() -> None:
    total = Part.total([part(3.0, 2), part(1.0, 10)])
    assert total.variance.item() == 4
    assert total.df.item() == pytest.approx(16 / (9 / 2 + 1 / 10))
    assert Part.total([part(0.0, 4), part(0.0, 9)]).df.item() == 4
    assert Part.total([part(3.0, 2), part(0.0, 1)]).df.item() == pytest.approx(2)


def test_a_total_with_an_unknown_part_is_unknown() -> None:
    total = Part.total([part(3.0, 2), part(np.nan, 0)])
    assert np.isnan(total.variance).all() and total.df.item() == 0
