from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.metrics.surface import element_areas, neighbour_codes, surface_elements


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.5), (1.0, 1.0), (0.4, 2.5)])
def test_areas_equal_the_tables_of_surface_distance(spacing):
    from surface_distance import lookup_tables

    create = {
        2: lookup_tables.create_table_neighbour_code_to_contour_length,
        3: lookup_tables.create_table_neighbour_code_to_surface_area,
    }[len(spacing)]
    assert element_areas(spacing) == pytest.approx(create(spacing), abs=1e-12)


def test_neighbour_codes_read_the_voxels_in_raster_order():
    mask = np.random.default_rng(0).random((4, 5, 6)) < 0.5
    padded = np.pad(mask, 1)
    codes = neighbour_codes(mask)
    assert codes.shape == (5, 6, 7)
    for place in np.ndindex(codes.shape):
        corner = padded[tuple(slice(p, p + 2) for p in place)]
        assert codes[place] == int("".join("01"[voxel] for voxel in corner.ravel().tolist()), 2)


def test_one_voxel_has_the_area_of_its_octahedron():
    voxel = np.ones((1, 1, 1), bool)
    weights = surface_elements(voxel, voxel, (2.0, 2.0, 2.0)).truth_to_prediction.weights
    assert weights.size == 8
    assert weights.sum() == pytest.approx(np.sqrt(3) * (2 / np.sqrt(2)) ** 2 * 2)


def test_flat_sides_have_their_true_area():
    slab = np.ones((1, 200, 200), bool)
    area = surface_elements(slab, slab, (1.0, 0.5, 0.5)).truth_to_prediction.weights.sum()
    assert area == pytest.approx(2 * 100 * 100, rel=0.02)
