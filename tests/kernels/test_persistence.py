"""Persistent features: those of another engine, the same from both ways, and what ties and shapes make of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import persistence as engine
from lossodyssey.kernels.persistence import NEVER, Connectivity, persistence

CONNECTIVITIES: tuple[Connectivity, ...] = ("full", "faces")


def field(seed: int, axes: int) -> Tensor:
    """A random field; every third one has few levels, and so many ties."""
    draw = np.random.default_rng(seed)
    shape = draw.integers(2, 9 if axes == 2 else 5, axes)
    return torch.from_numpy(draw.random(shape) if seed % 3 else draw.integers(0, 4, shape).astype(float))


def lengths(values: Tensor, pairs: Tensor) -> list[tuple[float, float]]:
    """Levels of birth and death in order; what never dies dies at minus infinity."""
    flat = values.flatten()
    born, dies = flat[pairs.clamp(min=0)].unbind(1)
    return sorted(zip(born.tolist(), dies.masked_fill(pairs[:, 1] == NEVER, -torch.inf).tolist(), strict=True))


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("axes", [2, 3])
def test_features_are_those_of_gudhi(axes: int, connectivity: Connectivity) -> None:
    gudhi = pytest.importorskip("gudhi")
    for seed in range(125):
        values = field(seed, axes)
        cells = "top_dimensional_cells" if connectivity == "full" else "vertices"
        theirs = gudhi.CubicalComplex(**{cells: -values.numpy()})
        theirs.compute_persistence(homology_coeff_field=2)
        ours = persistence(values, connectivity, range(axes))
        for dimension in range(axes):
            expected = -theirs.persistence_intervals_in_dimension(dimension).reshape(-1, 2)
            assert lengths(values, ours[dimension]) == sorted(map(tuple, expected.tolist())), (seed, dimension)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_compiled_and_plain_code_find_the_same_voxels(connectivity: Connectivity, outside: bool) -> None:
    if native.library() is None:
        pytest.skip("no compiled code")
    for shape in ((1,), (7,), (9, 8), (1, 6), (5, 4, 6), (17, 19)):
        draw = np.random.default_rng(len(shape))
        for values in (draw.random(shape), draw.integers(0, 3, shape)):
            order = np.argsort(-values.ravel(), kind="stable")
            steps = engine.neighbour_steps(shape, connectivity)
            found = [way(order, shape, steps, outside) for way in (engine._compiled, engine._plain)]
            compiled, plain = (sorted(map(tuple, each.tolist())) for each in found)
            assert compiled == plain


def test_without_compiled_code_features_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = field(1, 3)
    expected = {k: set(map(tuple, pairs.tolist())) for k, pairs in persistence(values, "full", (0, 2)).items()}
    monkeypatch.setattr(native, "serves", lambda numbers: False)
    assert {k: set(map(tuple, pairs.tolist())) for k, pairs in persistence(values, "full", (0, 2)).items()} == expected


def drawing(text: str) -> Tensor:
    return torch.tensor([[int(digit) for digit in row] for row in text.split()], dtype=torch.float32)


def test_an_object_dies_where_it_meets_a_higher_one_and_a_hole_where_it_is_filled() -> None:
    values = drawing("950777 000737 440777")
    found = persistence(values, "full", (0, 1))
    assert lengths(values, found[0]) == [(4.0, 0.0), (7.0, 0.0), (9.0, -torch.inf)]
    assert lengths(values, found[1]) == [(7.0, 3.0)]
    corner = drawing("10 01")
    assert len(persistence(corner, "faces", (0,))[0]) == 2 and len(persistence(corner, "full", (0,))[0]) == 1


def test_of_equal_voxels_the_first_is_the_higher_one() -> None:
    values = drawing("3020302")
    assert persistence(values, "full", (0,))[0].tolist() == [[0, NEVER], [2, 1], [4, 3], [6, 5]]
    assert persistence(values.mT, "full", (0,))[0].tolist() == [[0, NEVER], [2, 1], [4, 3], [6, 5]]
    ring = torch.ones(3, 3)
    ring[1, 1] = 0
    # The hole closes at the last of the equal voxels around it.
    assert persistence(ring, "full", (1,))[1].tolist() == [[7, 4]]


def test_axes_of_one_voxel_add_no_dimension() -> None:
    values = field(1, 2)
    flat = persistence(values[:, None], "full", (0, 1, 2))
    plane = persistence(values, "full", (0, 1))
    assert torch.equal(flat[0], plane[0]) and torch.equal(flat[1], plane[1]) and not len(flat[2])
    assert persistence(torch.ones(1, 1), "full", (0, 1))[0].tolist() == [[0, NEVER]]
    assert not len(persistence(torch.ones(0, 3), "full", (0,))[0])


def test_a_dimension_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension is 2, expected 0 to 1 on 2 axes"):
        persistence(torch.ones(3, 3), "full", (0, 2))


def test_tunnels_need_gudhi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(ValueError, match=r'pip install "\.\[topology\]"'):
        persistence(torch.ones(3, 3, 3), "full", (1,))
    assert set(persistence(torch.ones(3, 3, 3), "full", (0, 2))) == {0, 2}
