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
    """Draw the training values of (loss, curve) pairs over the steps, every curve scaled to start at 1."""
    losses = list(dict.fromkeys(loss for loss, _ in curves))
    names = [label(loss, 34) for loss in losses]
    figure, axes = canvas(8.4, max(3.6, 0.6 + 0.2 * sum(name.count("\n") + 1.3 for name in names)))
    drawn = set()
    for loss, curve in curves:
        place = losses.index(loss)
        steps, values = smooth(np.array(curve.steps), np.array(curve.losses))
        style = STYLES[place // len(SERIES) % len(STYLES)]
        name = "" if loss in drawn else names[place]
        drawn.add(loss)
        scale = abs(values[0]) or 1
        axes.plot(steps, values / scale, style, color=SERIES[place % len(SERIES)], linewidth=1.5, label=name)
    axes.set_xlabel("training step")
    axes.set_ylabel("loss, first value = 1")
    axes.legend(frameon=False, fontsize=8, labelcolor=MUTED, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def smooth(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring points so that at most 60 are left."""
    parts = np.array_split(np.arange(len(steps)), min(len(steps), SMOOTHED_POINTS))
    return np.array([steps[p].mean() for p in parts]), np.array([values[p].mean() for p in parts])
