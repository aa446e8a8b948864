"""Learning rates follow from the losses so far."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossodyssey.training.rates import learning_rate
from lossodyssey.training.settings import Schedule, Settings


def test_poly_falls_from_the_first_rate_to_nearly_nothing() -> None:
    settings = Settings(steps=100, epoch=10, learning_rate=1e-2, schedule="poly", warmup=0)
    rates = [learning_rate(settings, [1.0] * step) for step in range(100)]
    assert rates[:10] == [1e-2] * 10
    assert rates[50] == pytest.approx(1e-2 * 0.5**0.9)
    assert rates[-1] == pytest.approx(1e-2 * 0.1**0.9)
    assert rates == sorted(rates, reverse=True)


def test_constant_is_constant() -> None:
    settings = Settings(schedule="constant", warmup=0)
    assert {learning_rate(settings, [0.5] * step) for step in range(0, 500, 50)} == {settings.learning_rate}


def test_plateau_cuts_a_fifth_each_time_the_loss_stalls() -> None:
    settings = Settings(steps=1000, epoch=2, schedule="plateau", patience=3, learning_rate=1e-3, warmup=0)
    assert learning_rate(settings, [1.0] * 7) == 1e-3
    assert learning_rate(settings, [1.0] * 8) == pytest.approx(2e-4)
    assert learning_rate(settings, [1.0] * 14) == pytest.approx(4e-5)
    assert learning_rate(settings, [1.0] * 900) == pytest.approx(1e-6)


def test_plateau_leaves_a_falling_loss_alone() -> None:
    settings = Settings(steps=1000, epoch=2, schedule="plateau", patience=3, learning_rate=1e-3, warmup=0)
    assert learning_rate(settings, [1 - step / 400 for step in range(400)]) == 1e-3


@pytest.mark.parametrize("schedule", ["poly", "plateau", "constant"])
def test_a_warm_up_rises_to_the_rate_of_the_schedule(schedule: Schedule) -> None:
    settings = Settings(steps=100, epoch=5, schedule=schedule, warmup=10)
    plain = replace(settings, warmup=0)
    steps = [[1.0] * step for step in range(100)]
    ratios = [learning_rate(settings, losses) / learning_rate(plain, losses) for losses in steps]
    assert ratios == pytest.approx([min(step / 10, 1.0) for step in range(1, 101)])
