"""Thresholds on probabilities: the rule of decoding, and the search on a grid, against plain loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.bench.thresholds import GRID, decode, tune
from lossodyssey.data import Dataset
from lossodyssey.data.regions import Region, write_regions
from lossodyssey.metrics import score


def with_classes(count: int) -> Dataset:
    return Dataset("data", Path(), {0: "background"} | {n: f"class {n}" for n in range(1, count)}, ("image",), ())


def softmax(seed: int, classes: int, shape: tuple[int, ...]) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (classes, *shape)).astype(np.float32)
    powers = np.exp(logits - logits.max(0))
    return np.asarray(powers / powers.sum(0), np.float32)


@pytest.mark.parametrize("shape", [(40, 30), (12, 9, 7)])
def test_two_classes_at_one_half_are_argmax(shape: tuple[int, ...]) -> None:
    probabilities = softmax(0, 2, shape)
    probabilities.reshape(2, -1)[:, :5] = 0.5  # ties go to the background under both
    labels = decode(probabilities, {"class 1": 0.5}, with_classes(2))
    np.testing.assert_array_equal(labels, probabilities.argmax(0))


def test_of_several_classes_above_their_thresholds_the_one_furthest_above_wins() -> None:
    dataset, thresholds = with_classes(4), {"class 1": 0.2, "class 2": 0.05, "class 3": 0.6}
    probabilities = softmax(1, 4, (20, 20))
    labels = decode(probabilities, thresholds, dataset)
    for place in np.ndindex(labels.shape):
        above = {n: probabilities[n][place] - np.float32(t) for n, t in enumerate(thresholds.values(), start=1)}
        above = {n: excess for n, excess in above.items() if excess > 0}
        assert labels[place] == (max(above, key=lambda n: above[n]) if above else 0)
    assert set(np.unique(labels)) == {0, 1, 2, 3}


def test_regions_take_all_voxels_above_their_own_threshold() -> None:
    regions = (Region("whole", (1, 2), 2), Region("core", (1,), 1))
    dataset = replace(with_classes(3), regions=regions)
    inside = np.random.default_rng(2).random((2, 30, 30)).astype(np.float32)
    labels = decode(inside, {"whole": 0.3, "core": 0.7}, dataset)
    np.testing.assert_array_equal(labels, write_regions(inside > np.array([0.3, 0.7]).reshape(2, 1, 1), (2, 1)))


@pytest.mark.parametrize("ignore", [None, 7])
def test_the_best_threshold_of_the_grid_is_found(ignore: int | None) -> None:
    dataset, rng = replace(with_classes(3), ignore=ignore), np.random.default_rng(3)
    cases = []
    for seed in range(3):
        probabilities = softmax(10 + seed, 3, (25, 20))
        truth = np.where(rng.random((25, 20)) < 0.7, probabilities.argmax(0), rng.integers(0, 3, (25, 20)))
        ignored = np.where(rng.random((25, 20)) < 0.2, 7, truth) if ignore else truth
        cases.append((probabilities, ignored, (True, True)))
    found = tune(cases, dataset)
    for label in (1, 2):
        means = {
            float(limit): np.mean(
                [
                    score((p[label] > limit) * label, g, labels=[label], ignore=ignore, metrics=["DSC"])[0].value
                    for p, g, _ in cases
                ]
            )
            for limit in GRID
        }
        assert means[float(np.float32(found[f"class {label}"]))] == pytest.approx(max(means.values()), abs=1e-12)


def test_a_class_without_truth_keeps_one_half_and_equal_thresholds_are_near_it() -> None:
    probabilities = np.zeros((3, 4, 4), np.float32)
    probabilities[1, :2] = 0.72  # any threshold up to 0.70 gives the same mask
    truth = np.zeros((4, 4), int)
    truth[:2] = 1
    assert tune([(probabilities, truth, (True, True))], with_classes(3)) == {"class 1": 0.5, "class 2": 0.5}
    assert tune([(probabilities / 2, truth, (True, True))], with_classes(3))["class 1"] == 0.35
