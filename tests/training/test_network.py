"""The network fits its data and starts alike."""

from __future__ import annotations

import pytest
import torch

from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings


@pytest.mark.parametrize("shape", [(16, 24), (16, 8, 16)])
def test_logits_have_a_channel_per_class_and_the_shape_of_the_image(shape: tuple[int, ...]) -> None:
    network = build_network(Settings(), dimensions=len(shape), channels=2, classes=4, seed=0)
    assert network(torch.zeros(3, 2, *shape)).shape == (3, 4, *shape)


def test_weights_follow_from_the_seed_and_disturb_nobody() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        build_network(Settings(), dimensions=2, channels=1, classes=2, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
