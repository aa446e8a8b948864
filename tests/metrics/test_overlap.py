from __future__ import annotations

import math

import numpy as np
import pytest

from lossodyssey.metrics import MEASURES

EMPTY = np.zeros((3, 4), bool)
TRUTH = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
PREDICTION = np.array([[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DSC", 8 / 12),
        ("IoU", 4 / 8),
        ("precision", 4 / 6),
        ("recall", 4 / 6),
        ("volume_error", 0),
        ("relative_volume_error", 0),
        ("absolute_volume_error", 0),
    ],
)
def test_values_by_hand(name, value):
    assert MEASURES[name](PREDICTION, TRUTH) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "pred_empty", "truth_empty", "both_empty"),
    [
        ("DSC", 0, 0, math.nan),
        ("IoU", 0, 0, math.nan),
        ("precision", math.nan, 0, math.nan),
        ("recall", 0, math.nan, math.nan),
        ("volume_error", -3, 3, 0),
        ("relative_volume_error", -1, math.nan, math.nan),
        ("absolute_volume_error", 3, 3, 0),
    ],
)
def test_empty_masks(name, pred_empty, truth_empty, both_empty):
    found = [
        MEASURES[name](prediction, truth, spacing=(0.5, 1))
        for prediction, truth in [(EMPTY, TRUTH), (TRUTH, EMPTY), (EMPTY, EMPTY)]
    ]
    assert found == pytest.approx([pred_empty, truth_empty, both_empty], nan_ok=True)


def test_signs_and_units_of_the_volume_errors():
    smaller = TRUTH & PREDICTION
    assert MEASURES["volume_error"](smaller, TRUTH, spacing=(2, 3)) == -12
    assert MEASURES["relative_volume_error"](smaller, TRUTH, spacing=(2, 3)) == pytest.approx(-1 / 3)
    assert MEASURES["absolute_volume_error"](smaller, TRUTH, spacing=(2, 3)) == 12


def test_dice_and_iou_tell_the_same():
    iou = MEASURES["IoU"](PREDICTION, TRUTH)
    assert MEASURES["DSC"](PREDICTION, TRUTH) == pytest.approx(2 * iou / (1 + iou))
