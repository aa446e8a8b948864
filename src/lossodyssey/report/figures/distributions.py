"""The values of all cases, loss by loss: violin, box and points."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from lossodyssey.report.figures.style import ACCENT, INK, MUTED, SOFT, canvas, name_rows

Floats = NDArray[np.float64]

RASTERISE_ABOVE = 600
GOLDEN = 0.61803398875
ROW, FIRST_POINT, POINT_BAND = 0.42, 0.15, 0.2


def raincloud(values: Floats, losses: list[str], metric: str, strong: Collection[str]) -> Figure:
    """Draw (losses, cases) values as half violin, box and points; losses named in `strong` are in colour."""
    figure, axes = canvas(0.8 + ROW * len(losses))
    name_rows(axes, losses)
    span = float(np.ptp(values)) or 1.0
    for row, (loss, own) in enumerate(zip(losses, values, strict=True)):
        colour = ACCENT if loss in strong else SOFT
        _violin(axes, row, own, span, colour)
        _box(axes, row, own)
        # Thousands of vector dots make a page of many megabytes.
        axes.scatter(
            own, heights(row, len(own)), s=7, color=colour, alpha=0.6, linewidths=0,
            rasterized=values.size > RASTERISE_ABOVE,
        )  # fmt: skip
    axes.set_xlabel(metric)
    return figure


def heights(row: int, cases: int) -> Floats:
    """Compute the heights of the points of a row, spread so that few of them cover each other."""
    # Steps of the golden ratio: neighbours are far apart whatever the number of cases, and no random number is drawn.
    return np.asarray(row + FIRST_POINT + POINT_BAND * ((np.arange(cases) * GOLDEN) % 1))


def _violin(axes: Axes, row: int, own: Floats, span: float, colour: str) -> None:
    # A density of equal values has no width; gaussian_kde would fail on the singular covariance.
    if np.ptp(own) < 1e-9 * span:
        return
    grid = np.linspace(own.min(), own.max(), 60)
    density = gaussian_kde(own)(grid)
    axes.fill_between(
        grid, row - 0.04, row - 0.04 - 0.4 * density / density.max(), color=colour, alpha=0.35, linewidth=0
    )


def _box(axes: Axes, row: int, own: Floats) -> None:
    # 5 to 95 %: the ends of a range grow with the number of cases.
    low, quarter, median, three, high = np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95])
    axes.plot([low, high], [row + 0.05] * 2, color=MUTED, linewidth=1)
    axes.plot([quarter, three], [row + 0.05] * 2, color=MUTED, linewidth=5, solid_capstyle="butt")
    axes.plot([median], [row + 0.05], marker="o", markersize=4.5, color=INK, markeredgecolor="white")
