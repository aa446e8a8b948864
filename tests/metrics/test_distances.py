from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lossodyssey.metrics import distances
from lossodyssey.metrics.distances import DirectedDistances, Surface


def surface(shape: tuple[int, ...], points: int, spacing: tuple[float, ...], seed: int) -> Surface:
    grid = np.zeros(shape, bool)
    grid.ravel()[np.random.default_rng(seed).choice(grid.size, points, replace=False)] = True
    return Surface(grid, np.flatnonzero(grid), np.ones(points), spacing)


@pytest.fixture(params=[1, 12, 500], ids=["tree", "both", "columns"])
def columns(request, monkeypatch):
    """Few columns leave most of the work to the KD-tree, many leave it nothing."""
    monkeypatch.setattr(distances, "COLUMNS", request.param)
    distances.column_shells.cache_clear()
    yield
    distances.column_shells.cache_clear()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8), (0.7, 5.0, 1.3), (2.0, 0.5)])
def test_distances_are_those_of_all_pairs(columns, spacing):
    shape = (9, 11, 13)[: len(spacing)]
    source, target = surface(shape, 30, spacing, 0), surface(shape, 9, spacing, 1)
    expected = cdist(source.points * spacing, target.points * spacing).min(axis=1)
    assert DirectedDistances(source, target).values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("limit", [0.0, 0.8, 1.6, 3.1, 100.0])
def test_distances_up_to_a_limit_are_exact_and_the_others_are_longer(columns, limit):
    source, target = surface((9, 11, 13), 40, (3.0, 0.8, 0.8), 2), surface((9, 11, 13), 9, (3.0, 0.8, 0.8), 3)
    exact = DirectedDistances(source, target).values
    found = DirectedDistances(source, target).up_to(limit + 1e-9)
    near = exact <= limit + 1e-9
    assert found[near] == pytest.approx(exact[near], abs=1e-12)
    assert (found[~near] > limit + 1e-9).all()


def test_asking_again_for_more_gives_what_asking_once_gives(columns):
    source, target = surface((9, 11, 13), 40, (1.0, 0.8, 2.0), 4), surface((9, 11, 13), 5, (1.0, 0.8, 2.0), 5)
    directed = DirectedDistances(source, target)
    for limit in (0.5, 0.8, 2.0, 2.0):
        directed.up_to(limit)
    assert directed.values == pytest.approx(DirectedDistances(source, target).values, abs=1e-12)


def test_columns_come_nearest_first_and_none_is_left_out():
    shells = distances.column_shells((2.5, 0.8))
    lengths = [length for length, _ in shells]
    assert lengths == sorted(lengths)
    found = {tuple(step) for _, steps in shells for step in steps.tolist()}
    box = [(a, b) for a in range(-30, 31) for b in range(-60, 61) if np.hypot(2.5 * a, 0.8 * b) <= lengths[-1]]
    assert found == set(box)
