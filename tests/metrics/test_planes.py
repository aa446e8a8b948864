"""Classes with far voxels: memory follows what is there, and values are those of the whole box."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lossodyssey.metrics import MEASURES, planes, score

ALL = [name for name in MEASURES if name != "clDice"]
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.8, 0.7), (0.5, 2.0, 5.0)]


def far_parts(seed: int, axes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A blob, single voxels and a second blob far from each other, in a map of which most planes are empty."""
    rng = np.random.default_rng(seed)
    truth, prediction = np.zeros((2, *(90, 120, 70)[:axes]), np.uint8)
    body = rng.random((9, 11, 8)[:axes]) < 0.8
    truth[tuple(slice(5, 5 + n) for n in body.shape)] = body
    prediction[tuple(slice(6, 6 + n) for n in body.shape)] = np.roll(body, 1, 0)
    prediction[tuple(slice(60, 60 + n // 2) for n in body.shape)] = 1
    for labels in (truth, prediction):
        labels[tuple(rng.integers(0, labels.shape, (6, axes)).T)] = 1
        labels[(-1,) * axes] = 2
    prediction[(0,) * axes] = 2
    return prediction, truth


@pytest.fixture
def leave_out(monkeypatch):
    """Scores with every plane, then with the empty planes left out however small the box is."""

    def both(*arguments, **options):
        whole = score(*arguments, **options)
        monkeypatch.setattr(planes, "SMALL", 0)
        monkeypatch.setattr(planes, "WIDE", 3)
        return whole, score(*arguments, **options)

    return both


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
def test_values_are_equal_to_the_last_digit(leave_out, spacing, seed):
    whole, cut = leave_out(*far_parts(seed), spacing=spacing, metrics=ALL)
    assert repr(list(cut)) == repr(list(whole))
    assert any(entry.value > 0 for entry in cut)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_and_pictures_make_no_difference(leave_out, order):
    pair = [np.asarray(labels, order=order) for labels in far_parts(0, axes=2)]
    whole, cut = leave_out(*pair, spacing=(0.3, 0.2), metrics=ALL)
    assert repr(list(cut)) == repr(list(whole))


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_empty_planes_of_a_gap_stay(monkeypatch, order):
    monkeypatch.setattr(planes, "SMALL", 0)
    labels = np.zeros((40, 30, 50), np.uint8, order=order)
    labels[2, 5, 7] = labels[4, 5, 7] = labels[39, 5, 7] = 1
    (mask, other), kept = planes.cut_out([labels, np.zeros_like(labels)], lambda each: each == 1)
    assert [axis.tolist() for axis in kept] == [[2, 3, 4, 5, 38, 39], [5], [7]]
    assert mask.sum() == 3 and not other.any()


def test_a_compact_class_is_cut_out_as_it_is(monkeypatch):
    monkeypatch.setattr(planes, "SMALL", 0)
    labels = np.ones((20, 20, 20), np.uint8)
    assert planes.cut_out([labels, labels], lambda each: each == 1)[1] is None


PEAK = """
import resource, sys
import numpy as np
from lossodyssey.metrics import score
image = np.zeros((256, 256, 150), np.uint8)
image[20:60, 30:70, 10:40] = 1
image[100:120, 90:130, 60:90] = 2
scattered = tuple(np.random.default_rng(0).integers(0, image.shape, (20, 3)).T)
metrics = ["DSC", "NSD", "HD95", "ASSD", "HD", "boundary_IoU", "PQ"]
score(np.roll(image[:, :, :60], 1, 0), image[:, :, :60], metrics=metrics)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in ("one voxel", "two voxels of one class", "prediction far from the truth", "scattered voxels"):
    truth, prediction = image.copy(), np.roll(image, 1, 0)
    if name == "one voxel":
        truth[-1, -1, -1] = 1
    elif name == "two voxels of one class":
        prediction[-1, -1, -1] = prediction[0, 0, 0] = 2
    elif name == "prediction far from the truth":
        prediction[prediction == 1] = 0
        prediction[240:, 230:, 140:] = 1
    else:
        prediction[scattered] = 1
    score(prediction, truth, metrics=metrics)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) * (1 if sys.platform == "darwin" else 1024) / image.size, name, sep="|")
"""


def test_peak_memory_follows_what_is_there():
    pytest.importorskip("resource", reason="Windows does not tell the peak memory of a process")
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert len(lines) == 4
    for grown, name in lines:
        assert float(grown) < 6, f"{name}: bytes per voxel of the image; the whole box takes 14 and more"
