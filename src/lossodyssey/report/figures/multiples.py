"""Small sets of axes, one per loss, all of one scale: readable with 30 losses as with 3."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from lossodyssey.report.figures.style import ACCENT, INK, LINE, MUTED, SERIES, WIDTH, plain

COLUMNS = 3


@dataclass(frozen=True)
class Line:
    """One line of a panel; `full` and `open` say which of its points carry a dot or an open square."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    full: Sequence[bool]
    open: Sequence[bool]


def multiples(panels: Mapping[str, Sequence[Line]], x: str, y: str, *, logarithmic: bool = False) -> Figure:
    """Draw the lines of each loss on axes of its own; a colour is a data set, explained where there are several."""
    rows, columns = math.ceil(len(panels) / COLUMNS), min(COLUMNS, len(panels))
    names = [*dict.fromkeys(line.name for lines in panels.values() for line in lines)]
    colours = dict(zip(names, SERIES, strict=False)) if 1 < len(names) <= len(SERIES) else {}
    legend = 0.2 * math.ceil(len(colours) / 2)
    figure = Figure(figsize=(WIDTH, 0.6 + legend + 1.15 * rows), layout="constrained")
    figure.patch.set_alpha(0)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, axes in enumerate(grid.flat):
        _style(axes)
        # The last row may hold fewer losses than panels; the axes above them then lack their numbers.
        axes.set_axis_off() if place >= len(panels) else axes.tick_params(labelbottom=place + columns >= len(panels))
    for axes, (loss, lines) in zip(grid.flat, panels.items(), strict=False):
        axes.set_title(loss, fontsize=7.5, color=INK, loc="left")
        for line in lines:
            _draw(axes, line, colours.get(line.name, ACCENT))
    _scale(grid.flat[0], panels, logarithmic)
    figure.supxlabel(x, fontsize=9, color=MUTED)
    figure.supylabel(y, fontsize=9, color=MUTED)
    if colours:
        drawn = [Line2D([], [], color=colour, linewidth=1.4) for colour in colours.values()]
        figure.legend(drawn, names, frameon=False, fontsize=8, labelcolor=INK, loc="outside upper left", ncols=2)
    return figure


def _style(axes: Axes) -> None:
    plain(axes)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="y", nbins=3)


def _draw(axes: Axes, line: Line, colour: str) -> None:
    x, y = np.array(line.x), np.array(line.y)
    axes.plot(x, y, color=colour, linewidth=1.3)
    axes.plot(x, y, ".", color=colour, markersize=3)
    full, hollow = np.array(line.full, dtype=bool), np.array(line.open, dtype=bool)
    axes.plot(x[full], y[full], "o", color=colour, markersize=5)
    axes.plot(x[hollow], y[hollow], "s", color=colour, markersize=6, fillstyle="none", markeredgewidth=1.5)


def _scale(axes: Axes, panels: Mapping[str, Sequence[Line]], logarithmic: bool) -> None:
    """Name the points themselves on the shared axis, as far as there is room."""
    points = sorted({x for lines in panels.values() for line in lines for x in line.x})
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(points if len(points) <= 4 else points[:: math.ceil(len(points) / 4)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
