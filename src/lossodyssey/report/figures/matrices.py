"""Square maps: which loss beats which, and which rankings agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lossodyssey.report.figures.style import ACCENT, FAINT, INK, LINE, WIDTH, canvas, places

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DIVERGING = LinearSegmentedColormap.from_list("orange-blue", ["#c76f12", "#f3dcc2", "#f4f5f6", "#bcd7ee", "#1f6fb2"])
NAMES = 2.3
WIDEST_CELL = 0.55
NUMBERED_UP_TO = 9


def significance(better: Flags, uncorrected: Flags, losses: Sequence[str]) -> Figure:
    """Map "row better than column", losses best first: full colour after Holm's correction, pale only without."""
    figure, axes = _map(losses, row=0.26)
    for row, column in np.argwhere(uncorrected | better):
        _cell(axes, row, column, ACCENT if better[row, column] else FAINT)
    for i in range(len(losses)):
        _cell(axes, i, i, LINE)
    return figure


def tau(values: Floats, views: Sequence[str]) -> Figure:
    """Map Kendall's tau between rankings: blue alike, orange opposite; the number in each cell of up to 9 views."""
    figure, axes = _map(views, row=0.36 if len(views) <= NUMBERED_UP_TO else 0.26)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            _cell(axes, row, column, DIVERGING((value + 1) / 2))
        if len(views) <= NUMBERED_UP_TO or np.isnan(value):
            # White on the dark ends of the map, black on its pale middle.
            colour = INK if np.isnan(value) else "white" if abs(value) > 0.75 else "#101820"
            text = "–" if np.isnan(value) else f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return figure


def _cell(axes: Axes, row: int, column: int, colour: object) -> None:
    axes.add_patch(Rectangle((column - 0.46, row - 0.45), 0.92, 0.9, color=colour, linewidth=0))


def _map(names: Sequence[str], row: float) -> tuple[Figure, Axes]:
    """Start a map whose columns carry the numbers that its rows are given beside their names."""
    count = len(names)
    figure, axes = canvas(0.5 + row * count)
    # Empty columns keep the cells of a small map from becoming wide bars.
    spare = max(WIDTH - NAMES - WIDEST_CELL * count, 0) / WIDEST_CELL
    axes.set_xlim(-0.5, count - 0.5 + spare)
    axes.set_ylim(count - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_yticks(range(count), [f"{name}  {place}" for place, name in enumerate(names, 1)])
    axes.set_xticks([place - 1 for place in places(count)], [str(place) for place in places(count)])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    return figure, axes
