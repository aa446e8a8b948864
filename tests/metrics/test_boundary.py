from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

from lossodyssey.metrics import MEASURES, score

DISTANCES = [name for name, measure in MEASURES.items() if measure.unit == "mm"]


def cube(start: int, shape: tuple[int, ...] = (12, 12, 12)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[start : start + 4, 4:8, 4:8] = True
    return mask


def test_equals_surface_distance_on_random_masks(random_masks, surface_distance):
    rng = np.random.default_rng(1)
    for prediction, truth, spacing in random_masks(150):
        expected = surface_distance(prediction, truth, spacing, float(rng.uniform(0.2, 5)))
        found = score(prediction, truth, spacing=spacing, metrics=list(expected))
        for metric, value in expected.items():
            assert found.value(1, metric) == pytest.approx(value, abs=1e-9), metric


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_border_voxel_variants_equal_monai(random_masks):
    for prediction, truth, spacing in random_masks(30, seed=2):
        hot = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
        options = {"include_background": True, "spacing": spacing}
        found = score(prediction, truth, spacing=spacing, metrics=["HD_voxel", "HD95", "ASSD_voxel", "NSD_voxel@1.7"])
        expected = [
            compute_hausdorff_distance(*hot, **options),
            compute_hausdorff_distance(*hot, percentile=95, **options),
            compute_average_surface_distance(*hot, symmetric=True, **options),
            compute_surface_dice(*hot, [1.7], **options),
        ]
        assert [entry.value for entry in found] == pytest.approx([float(value) for value in expected], rel=1e-5)


@pytest.mark.parametrize("name", ["HD", "HD_voxel", "HD95", "HD95_pooled", "HD95_surfel"])
def test_shifted_cube_is_its_shift_away(name):
    assert MEASURES[name](cube(2), cube(5), spacing=(0.8, 1, 1)) == pytest.approx(2.4)


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_of_identical_masks_is_zero(name):
    assert MEASURES[name](cube(3), cube(3), spacing=(3, 0.7, 0.7)) == 0


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_to_an_empty_mask_is_undefined(name):
    empty = np.zeros((12, 12, 12), bool)
    for prediction, truth in [(empty, cube(3)), (cube(3), empty), (empty, empty)]:
        assert math.isnan(MEASURES[name](prediction, truth))


@pytest.mark.parametrize("name", ["NSD", "NSD_voxel", "boundary_F1"])
def test_surface_dice_is_zero_if_one_mask_is_empty_and_undefined_if_both_are(name):
    empty = np.zeros((12, 12, 12), bool)
    assert MEASURES[name](empty, cube(3)) == MEASURES[name](cube(3), empty) == 0
    assert math.isnan(MEASURES[name](empty, empty))


def test_rounding_does_not_decide_a_distance_equal_to_the_tolerance():
    truth = np.zeros((1, 10), bool)
    prediction = truth.copy()
    truth[:, 0], prediction[:, 3] = True, True
    assert 3 * 0.8 > 2.4
    for step in (0.8, float(np.float32(0.8))):
        assert MEASURES["NSD_voxel"](prediction, truth, spacing=(1, step), at=2.4) == 1
        assert MEASURES["NSD_voxel"](prediction, truth, spacing=(1, step), at=2.39) == 0


def test_surface_dice_does_not_depend_on_what_was_asked_before(random_masks):
    for prediction, truth, spacing in random_masks(20, seed=3):
        alone = score(prediction, truth, spacing=spacing, metrics=["NSD@2", "NSD@0.5"])
        after = score(prediction, truth, spacing=spacing, metrics=["NSD@0.5", "HD", "NSD@2"])
        assert alone.value(1, "NSD@2") == after.value(1, "NSD@2")
        assert alone.value(1, "NSD@0.5") == after.value(1, "NSD@0.5")


def test_surface_closes_at_the_edge_of_the_image(surface_distance):
    everything, half = np.ones((6, 6), bool), np.ones((6, 6), bool)
    half[:, 3:] = False
    expected = surface_distance(half, everything, (1.0, 2.0), 1.0)
    found = score(half, everything, spacing=(1, 2), metrics=list(expected))
    assert [entry.value for entry in found] == pytest.approx(list(expected.values()))


def test_swapping_the_masks_keeps_symmetric_and_swaps_directed_distances(random_masks):
    names = ["NSD", "HD", "HD95", "ASSD", "ASD_truth_to_pred", "ASD_pred_to_truth"]
    for prediction, truth, spacing in random_masks(10, seed=4):
        there = [MEASURES[name](prediction, truth, spacing=spacing) for name in names]
        back = [MEASURES[name](truth, prediction, spacing=spacing) for name in names]
        assert back[:4] == pytest.approx(there[:4])
        assert back[4:] == pytest.approx(there[:3:-1])


def test_pooled_percentile_is_never_above_the_larger_directed_one(random_masks):
    for prediction, truth, spacing in random_masks(30, seed=5):
        pooled, larger = (MEASURES[name](prediction, truth, spacing=spacing) for name in ("HD95_pooled", "HD95"))
        assert pooled <= larger + 1e-12


def test_negative_tolerance_is_refused():
    with pytest.raises(ValueError, match="tolerance is -1"):
        MEASURES["NSD"](cube(2), cube(3), at=-1)
