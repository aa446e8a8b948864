"""Training curves and what training cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lossodyssey.report.figures.style import MUTED, SERIES, canvas, label
from lossodyssey.report.runs import Curve

SMOOTHED_POINTS = 60
STYLES = ("-", "--", ":", "-.")


def training(curves: Sequence[tuple[str, Curve]]) -> Figure:
    """Draw each loss's own training value over its steps, every curve scaled to start at 1."""
    figure, axes = canvas(7.6, 3.6)
    for i, (name, curve) in enumerate(curves):
        steps, values = smooth(np.array(curve.steps), np.array(curve.losses))
        style = STYLES[i // len(SERIES) % len(STYLES)]
        axes.plot(
            steps,
            values / abs(values[0] or 1),
            style,
            color=SERIES[i % len(SERIES)],
            linewidth=1.6,
            label=label(name, 44),
        )
    axes.set_xlabel("training step")
    axes.set_ylabel("loss, first value = 1")
    axes.legend(frameon=False, fontsize=8, labelcolor=MUTED, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def smooth(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring points so that at most 60 are left."""
    parts = np.array_split(np.arange(len(steps)), min(len(steps), SMOOTHED_POINTS))
    return np.array([steps[p].mean() for p in parts]), np.array([values[p].mean() for p in parts])
