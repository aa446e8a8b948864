"""Training curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossodyssey.report.figures.style import ACCENT, INK, MUTED, SERIES, WIDTH, canvas, plain
from lossodyssey.report.runs import Curve

SMOOTHED_POINTS = 60
COLUMNS = 2


def training(curves: Sequence[tuple[str, Curve]]) -> Figure:
    """Draw the training values of (loss, curve) pairs over the steps, every curve scaled to start at 1.

    Up to six losses share one set of axes; more get a small one each, all of one scale.
    """
    grouped: dict[str, list[Curve]] = {}
    for loss, curve in curves:
        grouped.setdefault(loss, []).append(curve)
    return _together(grouped) if len(grouped) <= len(SERIES) else _apart(grouped)


def smooth(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring points so that at most 60 are left."""
    parts = np.array_split(np.arange(len(steps)), min(len(steps), SMOOTHED_POINTS))
    return np.array([steps[p].mean() for p in parts]), np.array([values[p].mean() for p in parts])


def _together(grouped: Mapping[str, Sequence[Curve]]) -> Figure:
    figure, axes = canvas(3.2 + 0.2 * math.ceil(len(grouped) / 2))
    drawn = [_draw(axes, own, colour) for own, colour in zip(grouped.values(), SERIES, strict=False)]
    axes.set_xlabel("training step")
    axes.set_ylabel("loss, first value = 1")
    names = list(grouped)
    figure.legend(drawn, names, frameon=False, fontsize=9, labelcolor=INK, loc="outside upper left", ncols=2)
    return figure


def _apart(grouped: Mapping[str, Sequence[Curve]]) -> Figure:
    rows = math.ceil(len(grouped) / COLUMNS)
    figure = Figure(figsize=(WIDTH, 0.5 + 0.95 * rows), layout="constrained")
    figure.patch.set_alpha(0)

    # One scale for all: curves start at 1, so heights can be compared as shapes.
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat:
        plain(axes)
        # All off first: the last row may hold fewer losses than panels.
        axes.set_axis_off()
    for axes, (loss, own) in zip(panels.flat, grouped.items(), strict=False):
        axes.set_axis_on()
        axes.locator_params(nbins=3)
        axes.tick_params(labelsize=7.5)
        axes.set_title(loss, fontsize=8, color=INK, loc="left")
        _draw(axes, own, ACCENT)

    figure.supxlabel("training step", fontsize=9, color=MUTED)
    figure.supylabel("loss, first value = 1", fontsize=9, color=MUTED)
    return figure


def _draw(axes: Axes, curves: Iterable[Curve], colour: str) -> Line2D:
    """Draw the curves of one loss and return one of them, for the legend."""
    for curve in curves:
        steps, values = smooth(np.array(curve.steps), np.array(curve.losses))
        known = values[np.isfinite(values)]
        # Losses differ in unit and sign; divided by the first value they share an axis.
        scale = abs(known[0]) or 1 if len(known) else 1
        (line,) = axes.plot(steps, values / scale, color=colour, linewidth=1.4)
    return line
