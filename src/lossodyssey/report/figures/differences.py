"""How far the other losses are behind the leader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossodyssey.report.figures.style import ACCENT, LINE, MUTED, SECOND, SOFT, canvas, name_rows

Floats = NDArray[np.float64]

COLOURS = {"equivalent": ACCENT, "worse": SECOND, "better": SECOND, "open": SOFT}


def forest(
    difference: Floats,
    low: Floats,
    high: Floats,
    conclusion: Sequence[str],
    losses: list[str],
    margin: float,
    unit: str,
) -> Figure:
    """Draw the median paired difference to the leader with its interval, over the band that does not matter."""
    figure, axes = canvas(0.8 + 0.28 * len(losses))
    name_rows(axes, losses)
    # Behind everything else: the eye compares each interval with the band, not with zero alone.
    axes.axvspan(-margin, margin, color=LINE, alpha=0.6, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for row, verdict in enumerate(conclusion):
        axes.plot([low[row], high[row]], [row, row], color=COLOURS[verdict], linewidth=3, solid_capstyle="round")
        axes.plot([difference[row]], [row], "o", color=COLOURS[verdict], markersize=6, markeredgecolor="white")
    axes.set_xlabel(f"how much better the leader is ({unit})")
    return figure
