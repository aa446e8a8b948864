"""The tables on the losses' pages that quote the odyssey."""

from __future__ import annotations

from lossodyssey.guide.measured import Effect, effects, measured


def effect(loss: str, expression: str, dataset: str, metric: str, *values: float) -> Effect:
    difference, low, high = values
    return Effect(loss, expression, "DiceCE(batch=True)", dataset, metric, difference, low, high, 20, 3, 750)


FOUND = [
    effect("Dice batch", "Dice(batch=True)", "hearts", "DSC", -0.0123, -0.03, 0.0054),
    effect("Dice batch", "Dice(batch=True)", "hearts", "NSD", 0.02, 0.01, 0.03),
    effect("Dice sample", "Dice()", "eyes", "DSC", 0.004, -0.001, 0.009),
    effect("mine", "Dice() + Focal()", "eyes", "DSC", 0.004, -0.001, 0.009),
]


def test_the_forms_of_a_loss_stand_in_one_table() -> None:
    text = measured("Dice", FOUND)
    assert "On 2 data sets, against `DiceCE(batch=True)`" in text
    assert "| data set | steps | as | DSC | NSD |" in text
    assert "| hearts | 750 | `Dice(batch=True)` | -0.012 (-0.030 to +0.005) | +0.020 (+0.010 to +0.030) |" in text
    assert "| eyes | 750 | `Dice()` | +0.004 (-0.001 to +0.009) |  |" in text
    assert "Focal" not in text


def test_a_loss_that_was_not_measured_has_no_section() -> None:
    assert measured("Focal", FOUND) == "" and measured("DiceCE", FOUND) == ""


def test_limits_of_what_was_measured_hold_the_difference() -> None:
    assert all(found.low <= found.difference <= found.high for found in effects())
