"""Directions have the norms of the network's filters, and a network comes back from where it was moved."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lossodyssey.training.directions import Plane


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.Conv2d(4, 3, 1))


def test_every_filter_of_a_direction_is_as_long_as_the_networks_own() -> None:
    built = network()
    plane = Plane(built)
    for direction in plane.directions:
        for own, drawn in zip(built.parameters(), direction, strict=True):
            if own.ndim > 1:
                torch.testing.assert_close(drawn.flatten(1).norm(dim=1), own.detach().flatten(1).norm(dim=1))
            else:
                assert not drawn.any()
    first, second = (torch.cat([part.flatten() for part in direction]) for direction in plane.directions)
    assert abs(float(nn.functional.cosine_similarity(first, second, dim=0))) < 0.5


def test_equal_seeds_are_equal_directions() -> None:
    one, same, other = Plane(network(), 1), Plane(network(), 1), Plane(network(), 2)
    assert torch.equal(one.directions[0][0], same.directions[0][0])
    assert not torch.equal(one.directions[0][0], other.directions[0][0])


def test_the_network_comes_back_even_after_an_error() -> None:
    built = network()
    before = [own.detach().clone() for own in built.parameters()]
    plane = Plane(built)
    with plane.at(0.5, -1.0) as moved:
        weight = next(iter(moved.parameters()))
        torch.testing.assert_close(weight.detach(), before[0] + 0.5 * plane.directions[0][0] - plane.directions[1][0])
    with pytest.raises(RuntimeError, match="stop"), plane.at(1.0, 0.0):
        raise RuntimeError("stop")
    assert all(torch.equal(own, old) for own, old in zip(built.parameters(), before, strict=True))
