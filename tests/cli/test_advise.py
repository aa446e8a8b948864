"""`lossodyssey advise`: the page in the terminal, and a plan that `bench` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossodyssey.bench.plan_file import read_plan
from lossodyssey.data import places, write_phantom, write_vessel_phantom

from .conftest import Call


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")


def test_the_plan_holds_what_was_proposed_and_can_be_executed(tmp_path: Path, call: Call) -> None:
    write_vessel_phantom(tmp_path / "mine", cases=10)
    code, output, _ = call("advise", tmp_path / "mine", "-o", tmp_path / "plan.yaml", "--markdown")
    assert code == 0 and "## Losses to try" in output and "## What is not known" in output
    plan = read_plan(tmp_path / "plan.yaml")
    assert all(f"`{text}`" in output for loss in plan.losses for text in loss.stages) and len(plan.losses) == 3
    assert plan.metrics == ("DSC", "NSD", "clDice", "betti_error") and plan.folds == 5 and plan.seeds == 3
    code, output, errors = call("bench", tmp_path / "plan.yaml", "-o", tmp_path / "study", "--dry-run")
    assert code == 0, errors
    assert "3 losses, 3 seeds" in output and "5 folds" in output and "About" in output


def test_what_stands_in_the_file_of_the_plan_is_kept(tmp_path: Path, call: Call) -> None:
    write_phantom(tmp_path / "mine", cases=2)
    (tmp_path / "plan.yaml").write_text("losses: [Dice()]\n")
    code, output, errors = call("advise", tmp_path / "mine", "--also", "noisy", "-o", tmp_path / "plan.yaml")
    assert code == 2 and "is there and holds something else" in errors
    assert "NoiseRobustDice" in output and "It cannot answer yet: with 2 cases or patients" in " ".join(output.split())
    assert (tmp_path / "plan.yaml").read_text() == "losses: [Dice()]\n"
