from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lossodyssey.report import choose
from lossodyssey.report.figures.pictures import overlay
from lossodyssey.report.overlays import Overlay
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
