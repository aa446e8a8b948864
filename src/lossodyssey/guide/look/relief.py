"""The figure of landscapes: the value of each loss on a plane through a trained network's weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from textwrap import fill

import numpy as np
from contourpy import contour_generator
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossodyssey.guide.look.figure import GAP
from lossodyssey.guide.look.panels import AMOUNT, shades
from lossodyssey.guide.look.sheet import Sheet
from lossodyssey.report.figures.style import INK, MUTED

Floats = NDArray[np.float64]

SIDE = 2.55
"""Inches of a landscape: two in a row are as wide as a figure of the report."""
HEAD, ABOVE, BELOW = 0.5, 0.42, 0.5
LEVELS = 9
COLUMNS = 2


def relief(steps: Floats, values: Mapping[str, Floats], about: str) -> Figure:
    """Draw the values (P, P) of losses at the places `steps` (P,) along two directions; `about` says of which network.

    Each landscape has a scale of its own, from the least value of it, which is white, to the greatest.
    """
    columns = min(COLUMNS, len(values))
    width = max(columns * SIDE + (columns - 1) * GAP, 2 * SIDE + GAP)
    sheet = Sheet(width, HEAD + math.ceil(len(values) / columns) * (ABOVE + SIDE + BELOW))
    sheet.text(0, 0.02, fill(about, 78), MUTED, va="top", linespacing=1.35)
    for number, (text, own) in enumerate(values.items()):
        row, column = divmod(number, columns)
        _panel(sheet, (column * (SIDE + GAP), HEAD + row * (ABOVE + SIDE + BELOW) + ABOVE), text, steps, own)
    return sheet.figure


def _panel(sheet: Sheet, place: tuple[float, float], text: str, steps: Floats, own: Floats) -> None:
    x, y = place
    low, high = float(np.nanmin(own)), float(np.nanmax(own))
    sheet.text(x, y - 0.08, fill(text, 36), weight="bold", linespacing=1.3)
    # The first direction runs to the right, the second one upwards.
    sheet.picture(x, y, SIDE, shades(own.T[::-1] - low, high - low, AMOUNT, AMOUNT))
    pixel = SIDE / len(steps)
    if high > low:
        _lines(sheet, place, own, np.linspace(low, high, LEVELS + 2)[1:-1], pixel)
    middle = SIDE / 2
    sheet.curve([x + middle], [y + middle], marker="o", markersize=4, markerfacecolor=INK)
    centre = own[len(steps) // 2, len(steps) // 2]
    sheet.text(x, y + SIDE + 0.05, f"{low:.3g} to {high:.3g}; the network {centre:.3g}", MUTED, 7, va="top")
    sheet.text(
        x, y + SIDE + 0.19, f"both directions: {steps[0]:g} to {steps[-1]:g} norms of a filter", MUTED, 7, va="top"
    )


def _lines(sheet: Sheet, place: tuple[float, float], own: Floats, levels: Floats, pixel: float) -> None:
    """Draw lines of equal value, through the middles of pixels."""
    generator = contour_generator(z=own.T)
    for level in levels:
        for line in generator.lines(float(level)):
            across, up = np.asarray(line).T
            sheet.curve(
                place[0] + (across + 0.5) * pixel, place[1] + SIDE - (up + 0.5) * pixel, linewidth=0.5, alpha=0.7
            )
