"""Square maps: which loss beats which, and which rankings agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lossodyssey.report.figures.style import ACCENT, FAINT, INK, LINE, canvas, label

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DIVERGING = LinearSegmentedColormap.from_list("orange-blue", ["#c76f12", "#f3dcc2", "#f4f5f6", "#bcd7ee", "#1f6fb2"])


def significance(better: Flags, uncorrected: Flags, losses: Sequence[str]) -> Figure:
    """Map "row better than column", losses best first: full colour after Holm's correction, pale only without."""
    numbered = [f"{name}  {place}" for place, name in enumerate(losses, 1)]
    figure, axes = _square(numbered, [str(place) for place in range(1, len(losses) + 1)])
    for row, column in np.argwhere(uncorrected | better):
        colour = ACCENT if better[row, column] else FAINT
        axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, color=colour, linewidth=0))
    for i in range(len(losses)):
        axes.add_patch(Rectangle((i - 0.46, i - 0.46), 0.92, 0.92, color=LINE, linewidth=0))
    return figure


def tau(values: Floats, views: Sequence[str]) -> Figure:
    """Map Kendall's tau between rankings: blue alike, orange opposite, the number in each cell."""
    figure, axes = _square(views, views, cell=0.62)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            axes.text(column, row, "–", ha="center", va="center", color=INK, fontsize=9)
            continue
        colour = DIVERGING((value + 1) / 2)
        axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, color=colour, linewidth=0))
        text = "white" if abs(value) > 0.75 else "#101820"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=text, fontsize=8.5)
    return figure


def _square(rows: Sequence[str], columns: Sequence[str], cell: float = 0.34) -> tuple[Figure, Axes]:
    side = cell * len(rows)
    names = 0.09 * max(len(line) for name in rows for line in label(name, 34).split("\n"))
    tilted = max(map(len, columns)) > 7
    figure, axes = canvas(side + names + (1.4 if tilted else 0.3), side + (1.4 if tilted else 0.4))
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_aspect("equal", anchor="W")
    axes.grid(visible=False)
    axes.set_yticks(range(len(rows)), [label(name, 34) for name in rows])
    axes.set_xticks(range(len(columns)), [label(name, 24) for name in columns])
    if tilted:
        axes.tick_params(axis="x", labelrotation=40)
        for text in axes.get_xticklabels():
            text.set(horizontalalignment="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    return figure, axes
