"""The seconds of the parts of a training: measured, kept over a cut, and harmless."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.data.patches import CachedCase
from lossodyssey.training.batches import Batches
from lossodyssey.training.parts import PARTS, Clock
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit

SMALL = Settings(steps=6, epoch=2, patch=(16, 16), features=(4, 8), checkpoint_every=2, device="cpu")
NAP = 0.05


class Sleepy(lo.Loss, range=(0, 1)):
    """Sleeps before it returns the mean of the probabilities."""

    def of(self, pair: lo.Pair) -> Tensor:
        time.sleep(NAP)
        return pair.s.mean(dtype=torch.float64)


def test_the_time_of_the_loss_is_its_own(cases: list[CachedCase]) -> None:
    outcome = fit(Sleepy(), cases, SMALL, classes=2, seed=0)
    assert tuple(outcome.parts) == PARTS
    assert outcome.parts["loss"] >= SMALL.steps * NAP
    assert sum(outcome.parts[part] for part in PARTS if part != "auxiliaries") <= outcome.seconds


def test_the_time_that_steps_wait_for_data_is_told(cases: list[CachedCase], monkeypatch: pytest.MonkeyPatch) -> None:
    make = Batches.make

    def slow(self: Batches, step: int) -> Any:
        time.sleep(4 * NAP)
        return make(self, step)

    monkeypatch.setattr(Batches, "make", slow)
    outcome = fit(lo.Dice(), cases, SMALL, classes=2, seed=0)
    # The first batch alone is waited for from its beginning.
    assert outcome.parts["data"] >= 4 * NAP


def test_auxiliaries_are_timed_where_there_are_any(cases: list[CachedCase]) -> None:
    batches = Batches(lo.Criterion("Boundary()"), cases, SMALL, classes=2, seed=0)
    batches.make(0)
    assert batches.clock.seconds["auxiliaries"] > 0 and batches.clock.seconds["network"] == 0


def test_a_run_that_was_cut_off_goes_on_counting(cases: list[CachedCase], tmp_path: Path) -> None:
    def stop(step: int, loss: float, rate: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(Sleepy(), cases, SMALL, classes=2, seed=0, checkpoint=path, on_step=stop)
    kept = torch.load(path, weights_only=True)["parts"]
    assert tuple(kept) == PARTS and kept["loss"] >= 4 * NAP
    resumed = fit(Sleepy(), cases, SMALL, classes=2, seed=0, checkpoint=path)
    assert resumed.parts["loss"] >= kept["loss"] + 2 * NAP


def test_parts_that_are_unknown_are_left_out() -> None:
    clock = Clock(torch.device("cpu"))
    clock.resume({"loss": 2.0, "coffee": 7.0})
    assert clock.seconds == {"data": 0.0, "network": 0.0, "loss": 2.0, "auxiliaries": 0.0}
