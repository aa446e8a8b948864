from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from lossodyssey.metrics import MEASURES
from lossodyssey.metrics.bands import default_width

boundary_iou = MEASURES["boundary_IoU"]


@pytest.mark.parametrize("width", [1, 2, 4])
def test_band_is_what_box_erosions_take_off(random_masks, width):
    for prediction, truth, _ in random_masks(20):
        box = np.ones((3,) * truth.ndim)
        bands = [m & ~ndimage.binary_erosion(m, box, iterations=width, border_value=0) for m in (prediction, truth)]
        expected = (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()
        assert boundary_iou(prediction, truth, at=width) == pytest.approx(expected)


def test_default_width_is_two_percent_of_the_whole_image_not_of_the_crop():
    assert default_width((300, 400)) == 10
    assert default_width((8, 8)) == 1
    truth, prediction = np.zeros((300, 400), bool), np.zeros((300, 400), bool)
    truth[100:140, 100:140] = prediction[100:140, 104:144] = True
    assert boundary_iou(prediction, truth) == boundary_iou(prediction, truth, at=10)
    assert boundary_iou(prediction, truth) != boundary_iou(prediction, truth, at=1)


def test_empty_masks():
    empty, full = np.zeros((5, 5), bool), np.ones((5, 5), bool)
    assert boundary_iou(empty, full) == boundary_iou(full, empty) == 0
    assert math.isnan(boundary_iou(empty, empty))


@pytest.mark.parametrize("width", [0, 1.5])
def test_width_must_be_whole(width):
    with pytest.raises(ValueError, match="whole number of voxels"):
        boundary_iou(np.ones((5, 5)), np.ones((5, 5)), at=width)
