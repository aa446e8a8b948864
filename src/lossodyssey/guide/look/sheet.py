"""A sheet to draw on, in inches from the top left: one set of axes, which is faster than one for each small picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from lossodyssey.report.figures.style import INK, LINE

DASHES = (0, (3, 2))
Places = Sequence[float] | NDArray[np.float64]


class Sheet:
    """A figure of `width` times `height` inches; places are (x, y), y downwards."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.figure.patch.set_alpha(0)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def text(self, x: float, y: float, words: str, colour: str = INK, size: float = 8, **options: Any) -> None:
        """Write words whose baseline begins at a place."""
        self.axes.text(x, y, words, color=colour, fontsize=size, **options)

    def curve(self, x: Places, y: Places, colour: str = INK, **options: Any) -> None:
        """Draw a line through places."""
        self.axes.add_line(Line2D(x, y, color=colour, **{"linewidth": 0.9, "clip_on": False, **options}))

    def swatch(self, x: float, y: float, colour: str, size: float = 0.11) -> None:
        """Draw a small square of a colour, as a legend does."""
        self.axes.add_patch(Rectangle((x, y), 1.5 * size, size, color=colour, linewidth=0, clip_on=False))

    def picture(self, x: float, y: float, side: float, colours: NDArray[np.uint8]) -> None:
        """Draw pixels (H, W, 4) in a frame that is `side` inches wide and high."""
        # "none" puts the pixels themselves into an SVG, which stays small and sharp.
        drawn = self.axes.imshow(
            colours, interpolation="none", extent=(x, x + side, y + side, y), aspect="auto", clip_on=False
        )
        # `imshow` turns the axes to what it shows.
        self.axes.set(xlim=(0, self.figure.get_figwidth()), ylim=(self.figure.get_figheight(), 0))
        drawn.set_zorder(0)
        self.axes.add_patch(
            Rectangle((x, y), side, side, facecolor="none", edgecolor=LINE, linewidth=0.8, clip_on=False)
        )

    def outline(self, x: float, y: float, side: float, mask: NDArray[np.bool_], *, dashed: bool = False) -> None:
        """Draw the border of a mask (H, W) over the picture at the same place, except around single pixels."""
        from contourpy import contour_generator

        scale = side / len(mask)
        # A rim of empty pixels closes the border at the edge of the picture.
        for line in contour_generator(z=np.pad(without_single(mask), 1).astype(float)).lines(0.5):
            places = np.clip((np.asarray(line) - 0.5) * scale, 0, side) + np.array([x, y])
            self.curve(*corners(places).T, linestyle=DASHES if dashed else "-", linewidth=0.8)


def without_single(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask (H, W) without single pixels and single holes, which their own outline would hide."""
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    joined = mask & binary_dilation(mask, cross)
    return np.asarray(joined | binary_erosion(mask, cross, border_value=1))


def corners(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the places (n, 2) of a line at which it turns, and its ends."""
    step = np.diff(places, axis=0)
    turns = np.abs(step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]) > 1e-9
    return np.asarray(places[np.concatenate([[True], turns, [True]])])
