"""Overlays: an image with the outline of the truth and the errors of a prediction."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossodyssey.report.overlays import Overlay

# Vermillion and sky blue of Okabe and Ito's palette, which colour-blind readers tell apart, and white.
TRUTH, TOO_MUCH, MISSED, CONFUSED = "#ffd166", "#d55e00", "#56b4e9", "#ffffff"
LEGEND = {
    TRUTH: "outline of the truth",
    MISSED: "missed (false negative)",
    TOO_MUCH: "too much (false positive)",
    CONFUSED: "taken for another class",
}
SIDE = 2.4
FILL = 0.45


def overlay(picture: Overlay) -> Figure:
    """Draw one slice: the truth as a yellow outline, missed voxels blue, false ones vermillion, mixed up ones white."""
    rows, columns = picture.image.shape
    height = SIDE * rows * picture.pixel[0] / max(columns * picture.pixel[1], 1e-9)
    figure = Figure(figsize=(SIDE, float(np.clip(height, SIDE / 2, 1.5 * SIDE))))
    figure.patch.set_facecolor("black")

    axes = figure.add_axes((0, 0, 1, 1))
    aspect = grey(axes, picture)

    if picture.prediction is not None:
        for colour, where in errors(picture.truth, picture.prediction).items():
            _fill(axes, where, colour, aspect)
    # Last, so that no filled error hides where the truth ends.
    for value in np.unique(picture.truth[picture.truth > 0]):
        outline(axes, picture.truth == value, TRUTH)
    return figure


def grey(axes: Axes, picture: Overlay) -> float:
    """Draw the image alone, and return the height of its pixels as a multiple of their width."""
    # Percentiles: one bright voxel of metal would leave the rest of the slice black.
    low, high = np.nanpercentile(picture.image, [1, 99])
    aspect = picture.pixel[0] / picture.pixel[1]
    axes.imshow(picture.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect)
    axes.set_axis_off()
    return aspect


def errors(truth: NDArray[np.int64], prediction: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Find where a prediction is wrong, by the colour of the kind of error."""
    wrong = truth != prediction
    return {
        TOO_MUCH: wrong & (truth == 0),
        MISSED: wrong & (prediction == 0),
        CONFUSED: wrong & (truth > 0) & (prediction > 0),
    }


def _fill(axes: Axes, where: NDArray[np.bool_], colour: str, aspect: float) -> None:
    if where.any():
        shade = np.zeros((*where.shape, 4))
        shade[where] = to_rgba(colour, FILL)
        axes.imshow(shade, aspect=aspect, interpolation="nearest")
        outline(axes, where, colour)


def outline(axes: Axes, where: NDArray[np.bool_], colour: str) -> None:
    """Draw the border of a mask; a rim of empty pixels closes it at the edge of the picture."""
    if min(where.shape) > 1:
        rows, columns = where.shape
        padded = np.pad(where, 1)
        x, y = np.arange(-1, columns + 1), np.arange(-1, rows + 1)
        axes.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=1.1)
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
