from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.metrics import MEASURES


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Four true lesions: one matched, one touched by a large prediction, two missed; one invented besides."""
    truth, prediction = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[1:5, 1:5] = prediction[1:5, 1:4] = True
    truth[8, 8] = prediction[8:11, 8:11] = True
    truth[15, 1] = truth[18, 18] = True
    prediction[15, 10] = True
    return prediction, truth


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lesion_sensitivity", 2 / 4),
        ("lesion_precision", 2 / 3),
        ("lesion_F1", 2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3)),
        ("PQ", 0.75 / (1 + 2 / 2 + 3 / 2)),
    ],
)
def test_values_by_hand(scene, name, value):
    assert MEASURES[name](*scene) == pytest.approx(value)


def test_lesions_that_touch_at_a_corner_are_one():
    truth = np.eye(6, dtype=bool)
    prediction = np.zeros_like(truth)
    prediction[0, 0] = True
    assert MEASURES["lesion_sensitivity"](prediction, truth) == 1


def test_one_prediction_over_two_lesions_matches_neither_but_finds_both():
    truth, prediction = np.zeros((5, 9), bool), np.ones((5, 9), bool)
    truth[:, :4] = truth[:, 5:] = True
    assert MEASURES["lesion_sensitivity"](prediction, truth) == 1
    assert MEASURES["lesion_precision"](prediction, truth) == 1
    assert MEASURES["PQ"](prediction, truth) == 0


@pytest.mark.parametrize(
    ("name", "pred_empty", "truth_empty"),
    [
        ("lesion_sensitivity", 0, np.nan),
        ("lesion_precision", np.nan, 0),
        ("lesion_F1", 0, 0),
        ("PQ", 0, 0),
    ],
)
def test_empty_masks(scene, name, pred_empty, truth_empty):
    _, truth = scene
    empty = np.zeros_like(truth)
    found = [MEASURES[name](empty, truth), MEASURES[name](truth, empty), MEASURES[name](empty, empty)]
    assert found == pytest.approx([pred_empty, truth_empty, np.nan], nan_ok=True)
