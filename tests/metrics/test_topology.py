from __future__ import annotations

import sys

import numpy as np
import pytest

from lossodyssey.metrics import MEASURES
from lossodyssey.metrics.topology import betti_numbers, euler_characteristic


def ring(shape: tuple[int, int] = (9, 9)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    return mask


@pytest.mark.parametrize(
    ("mask", "numbers"),
    [
        (np.zeros((3, 3), bool), (0, 0)),
        (ring(), (1, 1)),
        (np.eye(4, dtype=bool), (1, 0)),
        (ring()[..., None] & np.ones(3, bool), (1, 1, 0)),
        (np.pad(np.ones((3, 3, 3), bool), 1), (1, 0, 0)),
    ],
    ids=["nothing", "ring", "diagonal", "tube", "ball"],
)
def test_betti_numbers_of_known_shapes(mask, numbers):
    assert betti_numbers(mask) == numbers


def test_hollow_ball_has_a_cavity_even_at_the_edge_of_the_image():
    hollow = np.ones((3, 3, 3), bool)
    hollow[1, 1, 1] = False
    assert betti_numbers(hollow) == (1, 0, 1)
    assert euler_characteristic(hollow) == 2


def test_random_masks_in_2d_agree_with_the_euler_characteristic():
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = rng.random(rng.integers(1, 12, 2)) < rng.uniform(0.1, 0.9)
        pieces, holes = betti_numbers(mask)
        assert pieces - holes == euler_characteristic(mask)


def test_random_masks_in_3d_agree_with_scikit_image():
    measure = pytest.importorskip("skimage.measure")
    rng = np.random.default_rng(0)
    for _ in range(30):
        mask = rng.random(rng.integers(1, 8, 3)) < rng.uniform(0.1, 0.9)
        assert euler_characteristic(mask) == measure.euler_number(mask, 3)


def test_betti_error_counts_missing_pieces_and_holes():
    assert MEASURES["betti_error"](ring(), ring()) == 0
    assert MEASURES["betti_error"](np.zeros((9, 9), bool), ring()) == 2
    assert MEASURES["betti_error"](ring() | ~ring(), ring()) == 1


def test_centre_line_dice_of_a_broken_vessel():
    pytest.importorskip("skimage")
    vessel = np.zeros((9, 40), bool)
    vessel[3:6, 2:38] = True
    broken = vessel.copy()
    broken[:, 15:25] = False
    clip = MEASURES["clDice"]
    assert clip(vessel, vessel) == 1
    assert 0.7 < clip(broken, vessel) < 0.9
    assert np.isnan(clip(np.zeros_like(vessel), vessel))


def test_centre_line_dice_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(ValueError, match="scikit-image: pip install"):
        MEASURES["clDice"](ring(), ring())
