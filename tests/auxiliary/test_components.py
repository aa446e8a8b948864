"""Components, cells and the weights and distances of objects, against plain evaluations, with and without cc3d."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from lossodyssey.auxiliary import Cells, ClassFrequency, Components, InverseSize, UnsignedDistance, components
from lossodyssey.auxiliary.components import Connectivity

SHAPES = [(30,), (11, 13), (1, 9), (6, 7, 5), (3, 4, 3, 3)]


@pytest.fixture(params=["cc3d", "scipy"])
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "scipy":
        monkeypatch.setattr(components, "fast_package", lambda: None)
    elif components.fast_package() is None:
        pytest.skip("connected-components-3d is not installed")


def random_labels(space: tuple[int, ...], classes: int, seed: int = 0, samples: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    foreground = torch.rand(samples, *space, generator=generator) < 0.35
    return torch.randint(1, classes, (samples, *space), generator=generator) * foreground


def flooded(mask: np.ndarray, connectivity: Connectivity) -> np.ndarray:
    """Number the components by walking over the voxels in scan order."""
    steps = [step for step in product((-1, 0, 1), repeat=mask.ndim) if any(step)]
    if connectivity == "faces":
        steps = [step for step in steps if np.abs(step).sum() == 1]
    numbers, count = np.zeros(mask.shape, dtype=np.int32), 0
    for start in np.argwhere(mask):
        if numbers[tuple(start)]:
            continue
        count, waiting = count + 1, [tuple(start)]
        while waiting:
            here = waiting.pop()
            if all(0 <= i < n for i, n in zip(here, mask.shape, strict=True)) and mask[here] and not numbers[here]:
                numbers[here] = count
                waiting += [tuple(i + d for i, d in zip(here, step, strict=True)) for step in steps]
    return numbers


@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.parametrize("connectivity", ["full", "faces"])
@pytest.mark.usefixtures("package")
def test_components_are_numbered_in_scan_order(space: tuple[int, ...], connectivity: Connectivity) -> None:
    labels = random_labels(space, 4)
    made = Components(connectivity=connectivity)(labels, 3)  # label 3 does not count
    assert made.shape == (2, 3, *space) and made.dtype == torch.int32 and not made[:, 0].any()
    regions = torch.stack([labels >= 0, labels == 2], 1)
    of_regions = Components(connectivity=connectivity)(regions, 2)
    assert (of_regions[:, 0] == 1).all() and torch.equal(of_regions[:, 1], made[:, 2])
    for sample, label in product(range(2), (1, 2)):
        expected = flooded((labels[sample] == label).numpy(), connectivity)
        assert np.array_equal(made[sample, label].numpy(), expected)


def test_corners_join_components_by_default() -> None:
    labels = torch.eye(3, dtype=torch.int64)[None]
    assert Components()(labels, 2)[0, 1].max() == 1
    assert Components(connectivity="faces")(labels, 2)[0, 1].max() == 3


@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.parametrize("apart", [None, (1.0, 2.0, 0.5, 1.5)], ids=["voxels", "spacing"])
@pytest.mark.usefixtures("package")
def test_cells_belong_to_the_nearest_component(space: tuple[int, ...], apart: tuple[float, ...] | None) -> None:
    labels = random_labels(space, 3, seed=1)
    spacing = [1.0] * len(space) if apart is None else apart[: len(space)]
    made, numbers = Cells()(labels, 4, None if apart is None else spacing), Components()(labels, 4)
    points = np.stack(np.unravel_index(np.arange(math.prod(space)), space), 1)
    assert (made[:, 0] == 1).all() and (made[:, 3] == 1).all() and made.dtype == torch.int32
    for sample, label in product(range(2), (1, 2)):
        own = numbers[sample, label].flatten().numpy()
        if not own.any():
            assert (made[sample, label] == 1).all()
            continue
        squares = (((points[:, None] - points[None, own > 0]) * spacing) ** 2).sum(2)
        order = np.lexsort((np.broadcast_to(own[own > 0], squares.shape), squares), axis=1)
        assert np.array_equal(made[sample, label].flatten().numpy(), own[own > 0][order[:, 0]])


def test_one_component_has_one_cell() -> None:
    labels = torch.zeros(1, 4, 5, dtype=torch.int64)
    labels[0, 1:3, 2] = 1
    regions = torch.stack([labels > 0, labels < 0], 1)
    assert (Cells()(labels, 3) == 1).all() and (Cells()(regions, 2) == 1).all()


@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.usefixtures("package")
def test_inverse_size_gives_each_component_the_same_weight(space: tuple[int, ...]) -> None:
    labels = random_labels(space, 3, seed=2)
    weights, numbers = InverseSize(clip=None)(labels, 3)[:, 0], Components()((labels > 0)[:, None], 1)[:, 0]
    for weight, number in zip(weights, numbers, strict=True):
        totals = torch.bincount(number.flatten(), weight.flatten().double())
        torch.testing.assert_close(totals, torch.full_like(totals, number.numel() / len(totals)), rtol=1e-6, atol=0)
    clipped = InverseSize()(labels, 3)[:, 0]
    torch.testing.assert_close(clipped, weights.clamp(min=1))
    assert torch.equal(InverseSize(clip=(0.5, 1.5))(labels, 3)[:, 0], weights.clamp(0.5, 1.5))
    per_mask = InverseSize(clip=None)(torch.stack([labels > 0, labels > 9], 1), 2)
    assert torch.equal(per_mask[:, 0], weights) and (per_mask[:, 1] == 1).all()


def test_inverse_size_leaves_out_what_does_not_count() -> None:
    labels = torch.tensor([[1, 0, 1, 1, 0, 0, 2, 2]])  # volume 6, two components and the background
    expected = torch.tensor([[[2, 2 / 3, 1, 1, 2 / 3, 2 / 3, 0, 0]]])
    torch.testing.assert_close(InverseSize(clip=None)(labels, 2), expected)
    assert (InverseSize()(torch.ones(1, 4, dtype=torch.int64), 2) == 1).all()
    assert not InverseSize()(torch.full((1, 4), 2), 2).any()
    with pytest.raises(ValueError, match=r"clip is \(3\.0, 1\.0\), expected \(low, high\)"):
        InverseSize(clip=(3, 1))


def test_class_frequency_counts_what_counts() -> None:
    labels = torch.tensor([[[0, 0, 1, 2], [0, 3, 3, 2]], [[3, 3, 3, 3], [3, 3, 3, 3]]])
    made = ClassFrequency()(labels, 3)
    assert made.shape == (2, 3, 1, 1) and made.dtype == torch.float32
    torch.testing.assert_close(made.flatten(1), torch.tensor([[3 / 6, 1 / 6, 2 / 6], [0, 0, 0]]))
    regions = torch.stack([labels > 0, labels == 3], 1)
    torch.testing.assert_close(ClassFrequency()(regions, 2).flatten(1), torch.tensor([[5 / 8, 2 / 8], [1, 1]]))


def test_distance_from_outside_by_hand() -> None:
    labels = torch.tensor([[0, 1, 1, 0, 0, 2, 0]])
    expected = torch.tensor([[0, 1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 2, 3, 4], [5, 4, 3, 2, 1, 0, 1], [0] * 7]) * 0.5
    torch.testing.assert_close(UnsignedDistance()(labels, 4, (0.5,))[0], expected)
    regions = torch.stack([labels > 0, labels < 0], 1)
    torch.testing.assert_close(UnsignedDistance()(regions, 2)[0], torch.tensor([[1.0, 0, 0, 1, 1, 0, 1], [0.0] * 7]))
