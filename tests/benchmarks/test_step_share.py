"""The share of the loss in a step, and which losses count as light: what is measured, refused and said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks import bars, losses, step_share


def test_light_losses_are_functions_of_one_pass() -> None:
    light = bars.light()
    assert light >= {"Dice", "DiceCE", "Focal", "Boundary", "DiceBoundary", "Dice + CE + Focal"}
    assert not light & {"ContourDice", "Perimeter", "HausdorffDT", "DiceTopK", "CenterlineDice", "VesselSDDL"}


@pytest.mark.parametrize("name", ["Dice", "Boundary", "SignedDistanceRegression", "WeightedHausdorff"])
def test_every_kind_of_loss_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_share, "ROUNDS", 1)
    row = step_share.measure(name, *losses.batch("2x3x12x12", "cpu", torch.float32))
    assert row["loss"] > 0
    assert (row["auxiliaries"] > 0) == (name != "Dice")


def test_a_loss_that_refuses_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_share, "ROUNDS", 1)
    row = step_share.measure("NoSuchLoss", *losses.batch("1x3x8x8", "cpu", torch.float32))
    assert "NoSuchLoss" in row["refused"]


def test_the_page_names_what_takes_more() -> None:
    rows = [{"shape": "a", "call": name, "network": 100.0, "loss": own, "auxiliaries": 0.0} for name, own in TIMES]
    text = "\n".join(step_share.section("a", rows))
    assert "Of 3 losses" in text and "at most 5% of it for 1 and at most 10% of it for 2." in text
    assert "More take Lovasz (50%)." in text


TIMES = (("Dice", 5.0), ("DiceCE", 8.0), ("Lovasz", 100.0), ("floor", 1.0))
