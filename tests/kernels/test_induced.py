"""The induced matching: partners are where they are, and every feature is its own partner."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels.induced import induced_matching
from lossodyssey.kernels.persistence import Connectivity

CASES = [(shape, dimension) for shape in ((8, 9), (5, 6, 5)) for dimension in (0, len(shape) - 1)]


def field(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape))


def partners(first: Tensor, second: Tensor, connectivity: Connectivity, dimension: int) -> set[tuple[int, ...]]:
    """Voxels of birth and death of each pair of partners."""
    ours, theirs, rows = induced_matching(first, second, connectivity, dimension)
    return {(*ours[a].tolist(), *theirs[b].tolist()) for a, b in rows}


@pytest.mark.parametrize("connectivity", ["full", "faces"])
@pytest.mark.parametrize(("shape", "dimension"), CASES)
def test_a_feature_is_its_own_partner(shape: tuple[int, ...], dimension: int, connectivity: Connectivity) -> None:
    values = field(0, shape)
    ours, _, rows = induced_matching(values, values, connectivity, dimension)
    assert (rows[:, 0] == rows[:, 1]).all() and len(np.unique(rows[:, 0])) == len(ours) == len(rows)


@pytest.mark.parametrize("connectivity", ["full", "faces"])
@pytest.mark.parametrize(("shape", "dimension"), CASES)
def test_either_image_may_come_first(shape: tuple[int, ...], dimension: int, connectivity: Connectivity) -> None:
    number = 0
    for seed in range(10):
        first, second = field(seed, shape), 0.7 * field(seed, shape) + 0.3 * field(seed + 100, shape)
        there, back = (partners(*both, connectivity, dimension) for both in ((first, second), (second, first)))
        assert there == {(*pair[2:], *pair[:2]) for pair in back}
        number += len(there)
    assert number


@pytest.mark.parametrize(("shape", "dimension"), CASES)
def test_compiled_and_plain_code_agree(shape: tuple[int, ...], dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(field(seed, shape), field(seed + 50, shape)) for seed in range(5)]
    expected = [partners(*both, "faces", dimension) for both in pairs]
    monkeypatch.setattr(native, "serves", lambda numbers: False)
    assert [partners(*both, "faces", dimension) for both in pairs] == expected


def test_two_pieces_are_partners_of_those_that_they_overlap() -> None:
    first = torch.tensor([[0.9, 0.1, 0.0, 0.0, 0.8, 0.7, 0.0, 0.0, 0.6]])
    second = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0, 0.4, 0.0]])
    # 0.6 and 0.4 lie side by side. 0.8 becomes one with 0.9, but that is the last piece of the second.
    ours, theirs, rows = induced_matching(first, second, "full", 0)
    assert {(int(ours[a, 0]), int(theirs[b, 0])) for a, b in rows} == {(0, 5), (8, 7)}
    second[0, 0] = 0.95
    ours, theirs, rows = induced_matching(first, second, "full", 0)
    assert {(int(ours[a, 0]), int(theirs[b, 0])) for a, b in rows} == {(0, 0), (4, 5), (8, 7)}
