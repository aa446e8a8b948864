"""When a training is watched, and that its state comes back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lossodyssey.training.settings import Settings
from lossodyssey.training.watching import undisturbed, watched_steps


@pytest.mark.parametrize(
    ("steps", "epoch", "expected"),
    [(1000, 50, {250, 500, 750, 1000}), (1010, 50, {300, 550, 800, 1010}), (120, 50, {50, 100, 120}), (5, 50, {5})],
    ids=str,
)
def test_quarters_lie_at_the_ends_of_epochs(steps: int, epoch: int, expected: set[int]) -> None:
    assert watched_steps(Settings(steps=steps, epoch=epoch)) == expected


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_mode_and_random_state_come_back(training: bool) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train(training)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with undisturbed(network):
        network.train(not training)
        torch.rand(5)
    assert torch.equal(torch.rand(3), expected)
    assert network.training is training and network[1].training is training
