"""The nearest objects against brute force over all pairs of voxels, with and without compiled code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.auxiliary.nearest import nearest, two_nearest

SHAPES = [(40,), (17, 1), (1, 1), (19, 23), (7, 9, 33), (4, 3, 5, 6)]


@pytest.fixture(params=["native", "transforms"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "transforms":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("no C compiler")


def random_objects(space: tuple[int, ...], count: int, seed: int, share: float = 0.1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(1, count + 1, space, generator=generator, dtype=torch.int32)
    numbers *= torch.rand(space, generator=generator) < share
    _, renumbered = torch.cat([torch.zeros(1), numbers.flatten()]).unique(return_inverse=True)
    return renumbered[1:].reshape(space).int()


def all_distances(objects: Tensor, spacing: list[float]) -> Tensor:
    """The distance of every voxel to each object, (*S, objects), infinite to an object without voxels."""
    steps = torch.tensor(spacing, dtype=torch.float64)
    points = torch.cartesian_prod(*(torch.arange(n) for n in objects.shape)).reshape(-1, objects.ndim)
    found = [torch.full((len(points),), math.inf, dtype=torch.float64)] * 2
    for number in range(1, int(objects.max()) + 1):
        own = points[(objects == number).flatten()]
        found.append(((points[:, None] - own[None]) * steps).square().sum(2).amin(1).sqrt())
    return torch.stack(found, 1)


@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.parametrize("count", [0, 1, 2, 9])
@pytest.mark.usefixtures("backend")
def test_the_two_nearest_are_those_of_all_pairs(space: tuple[int, ...], count: int) -> None:
    for seed, spacing in enumerate([[1.0] * len(space), [0.5, 2.0, 1.3, 0.7][: len(space)]]):
        objects = random_objects(space, count, seed) if count else torch.zeros(space, dtype=torch.int32)
        first, second = all_distances(objects, spacing).sort(1).values[:, :2].float().unbind(1)
        for reach in (math.inf, 4.0, 1.5):
            near, next_near = (found.flatten() for found in two_nearest(objects, spacing, reach))
            for found, expected in ((near, first), (next_near, second)):
                within = expected <= reach
                torch.testing.assert_close(found[within], expected[within])
                assert (found[~within] > reach).all()


@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.parametrize("size", [1.0, 0.7, 1.3])
@pytest.mark.usefixtures("backend")
def test_of_equally_near_objects_the_lowest_is_the_nearest(space: tuple[int, ...], size: float) -> None:
    tied = 0
    for seed in range(4):
        objects = random_objects(space, 9, seed)
        distances = all_distances(objects, [1.0] * len(space))[:, 2:]
        expected = distances.argmin(1) + 1 if distances.shape[1] else torch.zeros(objects.numel())
        assert torch.equal(nearest(objects, [size] * len(space)).flatten(), expected.int())
        tied += int((distances == distances.amin(1, keepdim=True)).sum() - len(distances)) if distances.numel() else 0
    assert tied > 2 or math.prod(space) < 20


@pytest.mark.usefixtures("backend")
def test_the_nearest_follows_the_spacing() -> None:
    objects = random_objects((9, 12, 7), 5, 0)
    spacing = [0.37, 1.9, 0.81]
    assert torch.equal(nearest(objects, spacing).flatten(), all_distances(objects, spacing)[:, 2:].argmin(1).int() + 1)
