"""Pictures for trackers: grey images with the outlines of labels, and the cases that tell most."""

from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.bench.shown import PREDICTED, TRUTH, batch, outlined, telling
from lossodyssey.table import Row


def coloured(picture: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def test_outlines_are_the_pixels_of_a_class_beside_another() -> None:
    truth = np.zeros((8, 8), int)
    truth[2:6, 2:6] = 1
    border = truth.astype(bool)
    border[3:5, 3:5] = False
    drawn = outlined(np.arange(64.0).reshape(8, 8), truth)
    assert drawn.dtype == np.uint8 and drawn.shape == (8, 8, 3)
    assert np.array_equal(coloured(drawn, TRUTH), border)
    assert (drawn[0] == drawn[0][:, :1]).all() and drawn[7, 7, 0] > drawn[0, 1, 0]
    both = outlined(np.zeros((8, 8)), truth, np.roll(truth, 1, axis=0))
    assert coloured(both, PREDICTED).sum() == border.sum()
    assert coloured(both, TRUTH).any()


@pytest.mark.parametrize("kind", ["labels", "channel", "regions"])
def test_a_batch_of_volumes_shows_the_fullest_slice_of_every_sample(kind: str) -> None:
    labels = np.zeros((3, 12, 10, 4), int)
    labels[:, 3:8, 3:8, 2] = 1
    target = {"labels": labels, "channel": labels[:, None], "regions": np.stack([labels, 0 * labels], 1)}[kind]
    drawn = batch(np.random.default_rng(0).normal(size=(3, 1, 12, 10, 4)), target)
    assert drawn.shape == (12, 3 * 10 + 2 * 2, 3)
    assert coloured(drawn, TRUTH).sum() == 3 * 16


def row(case: str, value: float, metric: str = "DSC") -> Row:
    return Row("Dice()", "mine", 0, 0, case, "liver", metric, value)


def test_the_worst_the_median_and_the_best_case_are_named_once() -> None:
    rows = [row("a", 0.5), row("b", 0.9), row("c", 0.1), row("c", 0.2), row("d", float("nan")), row("a", 7.0, "HD95")]
    assert set(telling(rows)) == {("worst", "c"), ("median", "a"), ("best", "b")}
    assert set(telling([row("a", 9.0, "HD95"), row("b", 2.0, "HD95")])) == {("worst", "a"), ("best", "b")}
    assert [case for _, case in telling(rows[:1])] == ["a"] and telling([]) == []
