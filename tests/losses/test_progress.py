"""Checkpoints of a loss: a training that is resumed goes on with the schedules and ratios that it had."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossodyssey as lo

LOSSES = [
    "DiceHausdorff()",
    "Ramp(1, 0.1) * Dice() + Ratio() * CrossEntropy() + Focal()",
    "DiceBoundary() + Focal()",
]


class Training:
    """A loop of one's own: batches follow from the number of the step, an epoch has four steps."""

    def __init__(self, text: str) -> None:
        torch.manual_seed(0)
        self.network = nn.Conv2d(1, 2, 3, padding=1)
        self.criterion = lo.Criterion(text)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-2)
        self.values: list[float] = []

    def go(self, steps: int) -> Training:
        for step in range(len(self.values), len(self.values) + steps):
            if step % 4 == 0:
                lo.advance(self.criterion, step / 12)
            images = torch.randn(2, 1, 12, 12, generator=torch.Generator().manual_seed(step))
            loss = self.criterion(self.network(images), (images[:, 0] > 0.3).long())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.values.append(loss.item())
        return self

    def parts(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "values": self.values}

    def take(self, parts: dict[str, Any]) -> Training:
        self.network.load_state_dict(parts["network"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.values = list(parts["values"])
        return self


def weights(training: Training) -> list[Tensor]:
    return [value.clone() for value in training.network.state_dict().values()]


def stored(state: Any) -> Any:
    """What a checkpoint gives back, read as safely as torch can."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("text", LOSSES)
@pytest.mark.parametrize("stop", [4, 6, 8])
def test_a_resumed_loop_ends_with_the_bits_of_an_undisturbed_one(text: str, stop: int) -> None:
    whole = Training(text).go(12)
    broken = Training(text).go(stop)
    saved = stored(broken.parts() | {"schedules": lo.schedule_state(broken.criterion)})
    broken.go(2)  # what was saved is a copy
    resumed = Training(text).take(saved)
    lo.load_schedule_state(resumed.criterion, saved["schedules"])
    resumed.go(12 - stop)
    assert resumed.values == whole.values
    assert all(map(torch.equal, weights(resumed), weights(whole)))


@pytest.mark.parametrize("text", LOSSES)
def test_without_the_state_the_curve_is_another(text: str) -> None:
    whole, broken = Training(text).go(12), Training(text).go(6)
    assert Training(text).take(stored(broken.parts())).go(6).values != whole.values


def test_nothing_of_it_is_in_the_state_dict() -> None:
    module = nn.ModuleDict({"network": nn.Conv2d(1, 2, 1), "loss": lo.Criterion("DiceHausdorff()")})
    assert list(module.state_dict()) == ["network.weight", "network.bias"]
    other = nn.ModuleDict({"network": nn.Conv2d(1, 2, 1), "loss": lo.Criterion("Dice()")})
    other.load_state_dict(module.state_dict())


def test_a_preset_and_its_sum_share_a_state_and_a_module_may_hold_several() -> None:
    first, second = lo.parse("DiceHausdorff()"), lo.parse("Ramp(0, 1) * Dice() + Focal()")
    lo.advance(first, 0.25)
    lo.advance(second, 0.5)
    first.get_buffer("ratio").fill_(3)
    state = stored(lo.schedule_state(nn.ModuleList([first, lo.DiceCE(), second])))
    again = [lo.parse("HausdorffDT() + Ratio() * Dice()"), lo.parse("Ramp(0, 1) * Dice() + Focal()")]
    lo.load_schedule_state(nn.ModuleList(again), state)
    assert [float(loss.get_buffer("progress")) for loss in again] == [0.25, 0.5]
    assert [float(loss.get_buffer("ratio")) for loss in again] == [3, 1]


@pytest.mark.parametrize("text", ["Dice()", "DiceCE()", "Focal() + 0.5 * TopK()"])
def test_constant_weights_have_nothing_to_remember(text: str) -> None:
    state = lo.schedule_state(lo.Criterion(text))
    assert state == {"losses": [], "buffers": []}
    lo.load_schedule_state(lo.Lovasz(), state)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ratio() * Dice() + CrossEntropy()", r"expected that of 1.0 \* CrossEntropy\(\) \+ Ratio\(\) \* Dice\(\);"),
        ("Dice()", r"expected that of a loss without schedules; build the loss"),
    ],
)
def test_the_state_of_another_loss_is_refused_and_changes_nothing(text: str, message: str) -> None:
    loss = lo.parse(text)
    before = dict(loss.named_buffers())
    with pytest.raises(
        ValueError, match=rf"state is that of 1.0 \* HausdorffDT\(\) \+ Ratio\(\) \* Dice\(\), {message}"
    ):
        lo.load_schedule_state(loss, lo.schedule_state(lo.DiceHausdorff()))
    assert all(torch.equal(value, dict(loss.named_buffers())[name]) for name, value in before.items())


@pytest.mark.parametrize("state", [None, {}, {"loss.progress": torch.zeros(())}], ids=["none", "empty", "buffers"])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match=r"state is .*, expected what schedule_state\(loss\) returned"):
        lo.load_schedule_state(lo.DiceHausdorff(), state)
