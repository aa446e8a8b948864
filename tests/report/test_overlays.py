from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lossodyssey.report import choose, choose_failures, choose_for_all
from lossodyssey.report.figures.pictures import CONFUSED, MISSED, TOO_MUCH, errors, overlay
from lossodyssey.report.overlays import Overlay, window
from lossodyssey.table import Row


def test_best_median_worst_and_largest_disagreement() -> None:
    leader = [0.9, 0.5, 0.7, 0.6, 0.8, 0.75, 0.65]
    second = [0.8, 0.4, 0.6, 0.55, 0.1, 0.7, 0.6]
    third = [0.1] * 7
    rows = [
        Row(loss, "A", 0, 0, str(case), "x", "DSC", value)
        for loss, values in (("first", leader), ("second", second), ("third", third))
        for case, value in enumerate(values)
    ]
    found = [(choice.why, choice.loss, choice.case) for choice in choose(rows)]
    assert found == [
        ("best case", "first", "0"),
        ("median case", "first", "2"),
        ("worst case", "first", "1"),
        ("largest disagreement of the two best losses", "first", "4"),
        ("largest disagreement of the two best losses", "second", "4"),
    ]


def scored(values: dict[str, list[float]], metric: str = "DSC", group: str = "") -> list[Row]:
    return [
        Row(loss, "A", 0, 0, str(case), "x", metric, value, group=group and f"{group}{case // 2}")
        for loss, own in values.items()
        for case, value in enumerate(own)
    ]


@pytest.mark.parametrize("group", ["", "patient"])
def test_one_case_is_shown_for_every_loss_best_loss_first(group: str) -> None:
    values = {"bad": [0.5, 0.6, 0.1, 0.6, 0.5, 0.6], "good": [0.9, 0.8, 0.9, 0.8, 0.7, 0.9]}
    found = choose_for_all(scored({**values, "fair": [0.8, 0.7, 0.8, 0.7, 0.6, 0.8]}, group=group))
    assert [(choice.loss, choice.case) for choice in found] == [("good", "2"), ("fair", "2"), ("bad", "2")]


@pytest.mark.parametrize("metric, worst", [("DSC", "lowest DSC"), ("HD95", "highest HD95")])
def test_failures_are_the_worst_case_of_each_loss_and_missed_objects(metric: str, worst: str) -> None:
    turned = 1 if metric == "DSC" else -1
    values = {
        loss: [0.5 + turned * (0.02 * case + 0.3 * (loss == "good")) for case in range(6)] for loss in ("bad", "good")
    }
    rows = scored(values, metric)
    rows += [Row("bad", "A", 0, 0, case, name, metric, math.nan, "pred_empty")
             for name in ("lesion", "organ") for case in ("0", "3", "4", "5")]  # fmt: skip
    found = [(choice.loss, choice.case, choice.why) for choice in choose_failures(rows)]
    assert found[:2] == [("good", "0", worst), ("bad", found[1][1], worst)]
    assert (
        found[2:] == [("bad", case, "missed lesion, organ") for case in ("0", "3", "4", "5") if case != found[1][1]][:2]
    )


def test_errors_have_the_colour_of_their_kind() -> None:
    found = errors(np.array([[0, 1, 1, 2]]), np.array([[1, 1, 0, 1]]))
    assert {colour: where.tolist() for colour, where in found.items()} == {
        TOO_MUCH: [[True, False, False, False]],
        MISSED: [[False, False, True, False]],
        CONFUSED: [[False, False, False, True]],
    }


def test_the_frame_holds_every_mask_with_a_margin() -> None:
    truth, other = np.zeros((2, 100, 100), dtype=np.int64)
    truth[40:60, 45:55] = 1
    other[50:52, 80:98] = 3
    rows, columns = window([truth, other])
    assert (rows.start, rows.stop, columns.start, columns.stop) == (34, 66, 34, 100)
    assert window([np.zeros((5, 7), dtype=np.int64)]) == (slice(0, 5), slice(0, 7))


def test_a_prediction_that_fills_the_picture_can_be_drawn() -> None:
    empty = np.zeros((9, 9), dtype=np.int64)
    for truth, prediction in ((empty, empty + 1), (empty + 1, empty), (empty + 1, empty + 2), (empty + 1, None)):
        FigureCanvasAgg(overlay(Overlay("", np.zeros((9, 9)), truth, prediction))).draw()


def test_a_picture_shows_both_outlines_over_the_image() -> None:
    truth = np.zeros((40, 60), dtype=np.int64)
    truth[10:30, 10:40] = 1
    figure = overlay(Overlay("", np.zeros((40, 60)), truth, np.roll(truth, 8, axis=1)))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 2] < 160)
    blue = (pixels[..., 2] > 200) & (pixels[..., 0] < 120)
    assert yellow.sum() > 100 and blue.sum() > 50
    assert yellow.nonzero()[1].min() < blue.nonzero()[1].min()


def test_empty_masks_and_flat_images_are_pictures_too() -> None:
    nothing = np.zeros((8, 8), dtype=np.int64)
    figure = overlay(Overlay("", np.full((8, 8), 3.0), nothing, nothing))
    FigureCanvasAgg(figure).draw()
