from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossodyssey.report.doubts import doubts, still_falling
from lossodyssey.report.runs import Curve, RunSummary


def curve(decay: float, steps: int = 400, floor: float = 0.1) -> Curve:
    """An exponential fall to a floor, with noise; `decay` is its length in steps."""
    rng = np.random.default_rng(0)
    values = floor + np.exp(-np.arange(steps) / decay) + 0.003 * rng.normal(size=steps)
    return Curve(tuple(range(1, steps + 1)), tuple(values.tolist()), (0.003,) * steps)


def run(loss: str, **settings: Any) -> RunSummary:
    fall = settings.pop("decay", 20)
    return RunSummary(loss, "A", 0, curve=curve(fall), settings={"steps": 1000, "learning_rate": 0.003, **settings})


@pytest.mark.parametrize("decay, falls", [(20, False), (50, False), (150, True), (400, True)])
def test_a_curve_that_still_falls_is_found(decay: float, falls: bool) -> None:
    assert still_falling(curve(decay)) is falls


@pytest.mark.parametrize("name, length", [("steps", 5), ("steps", 60), ("steps", 300), ("epochs", 20)])
def test_trainings_much_shorter_than_usual_are_a_serious_doubt(name: str, length: int) -> None:
    runs = [RunSummary(loss, "A", 0, settings={name: length}) for loss in ("Dice()", "Focal()")]
    (doubt,) = doubts(runs)
    assert doubt.serious and doubt.text == f"{length} of the usual 1,000 {name}"


def test_losses_that_still_fall_are_named() -> None:
    found = doubts([run("Dice()"), run("Focal()", decay=300)])
    assert found[0].text == "training loss still falling at the end for Focal()" and not found[0].serious
    every = doubts([run("Dice()", decay=300), run("Focal()", decay=300)])
    assert every[0].serious


def test_one_rate_for_all_is_said_and_tuned_rates_are_not() -> None:
    assert [d.text for d in doubts([run("Dice()"), run("Focal()")])] == ["one learning rate, 0.003, for all losses"]
    assert doubts([run("Dice()"), run("Focal()", learning_rate=0.01)]) == []
    assert doubts([run("Dice()"), run("Dice()")]) == []


def test_nothing_known_is_no_doubt() -> None:
    assert doubts([]) == []
    assert doubts([RunSummary("Dice()", "A", 0), RunSummary("Focal()", "A", 0, status="diverged")]) == []
