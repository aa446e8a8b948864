"""Overlays: an image with the outlines of truth and prediction."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossodyssey.report.overlays import Overlay

TRUTH, PREDICTION = "#ffd166", "#4cc9f0"


def overlay(picture: Overlay) -> Figure:
    """Draw one slice with the truth as a solid yellow and the prediction as a dashed blue outline."""
    rows, columns = picture.image.shape
    height = 3.2 * rows * picture.pixel[0] / max(columns * picture.pixel[1], 1e-9)
    figure = Figure(figsize=(3.2, float(np.clip(height, 1.6, 4.8))))
    figure.patch.set_facecolor("black")
    axes = figure.add_axes((0, 0, 1, 1))
    low, high = np.nanpercentile(picture.image, [1, 99])
    axes.imshow(
        picture.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=picture.pixel[0] / picture.pixel[1]
    )
    axes.set_axis_off()
    for labels, colour, style in ((picture.truth, TRUTH, "solid"), (picture.prediction, PREDICTION, "dashed")):
        _outline(axes, labels, colour, style)
    return figure


def _outline(axes: Axes, labels: NDArray[np.int64], colour: str, style: str) -> None:
    for value in np.unique(labels[labels > 0]):
        axes.contour(labels == value, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.4)
