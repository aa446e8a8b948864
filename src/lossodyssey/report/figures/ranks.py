"""Ranks: how they vary with the cases drawn, with the metric, and which differ at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from scipy.stats import studentized_range

from lossodyssey.report.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    SOFT,
    WIDTH,
    canvas,
    name_rows,
    places,
    plain,
    stagger,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Run = tuple[int, int]

PLOT = WIDTH - 2.2
"""Inches that the names leave."""
TOP, BAR_PITCH, WIDEST_GUTTER = -1.9, 0.12, 1.2


def blobs(draws: Floats, losses: list[str], strong: Collection[str]) -> Figure:
    """Draw how often each rank occurs in (draws, losses): the larger the blob, the more often."""
    figure, axes = canvas(0.8 + 0.3 * len(losses))
    name_rows(axes, losses)
    # Areas, not radii, are proportional to the counts; the largest blob must not reach the next rank.
    largest = min(14.0, 1.5 * 72 * PLOT / len(losses)) ** 2
    for row, loss in enumerate(losses):
        ranks, counts = np.unique(draws[:, row], return_counts=True)
        colour = ACCENT if loss in strong else SOFT
        low, median, high = np.quantile(draws[:, row], [0.025, 0.5, 0.975])
        axes.plot([low, high], [row, row], color=colour, linewidth=1)
        axes.scatter(ranks, np.full(len(ranks), row), s=largest * counts / len(draws), color=colour, linewidths=0)
        axes.plot([median], [row], marker="|", markersize=10, color=INK)

    axes.set_xlim(0.4, len(losses) + 0.6)
    axes.set_xticks(places(len(losses)))
    axes.set_xlabel("rank when the cases are drawn again (1 = best)")
    return figure


def by_metric(positions: Floats, metrics: Sequence[str], losses: list[str], strong: Collection[str]) -> Figure:
    """Draw the (metrics, losses) ranks side by side, one line per loss, named in the order of the last metric."""
    figure, axes = canvas(1.0 + 0.27 * len(losses))
    last = len(metrics) - 1
    # Tied ranks would put two names in one place: the names get slots of their own, and thin lines lead there.
    slots = np.argsort(np.argsort(positions[-1], kind="stable")) + 1
    edge = last + 0.12 * max(last, 1)

    for own, slot, loss in zip(positions.T, slots, losses, strict=True):
        colour, order = (ACCENT, 3) if loss in strong else (SOFT, 2)
        axes.plot(range(len(metrics)), own, color=colour, linewidth=1.6, marker="o", markersize=4.5, zorder=order)
        axes.plot([last, edge], [own[-1], slot], color=LINE, linewidth=0.8, zorder=1)

    axes.set_xlim(-0.08 * max(last, 1), edge)
    axes.set_ylim(len(losses) + 0.6, 0.4)
    axes.set_xticks(range(len(metrics)), stagger(metrics, PLOT / max(last, 1)))
    axes.xaxis.tick_top()
    axes.set_yticks(places(len(losses)))
    axes.set_ylabel("rank")
    _names_on_the_right(figure, slots, losses)
    return figure


def _names_on_the_right(figure: Figure, slots: NDArray[np.int64], losses: Sequence[str]) -> None:
    right = figure.axes[0].twinx()
    right.spines[:].set_visible(False)
    right.set_ylim(len(losses) + 0.6, 0.4)
    right.set_yticks(slots, losses)
    right.tick_params(length=0, labelsize=9, labelcolor=INK)


def critical_difference(mean_ranks: Floats, better: Flags, losses: Sequence[str], cases: int, alpha: float) -> Figure:
    """Draw a row per loss with its mean rank; an upright bar joins rows of which no pair differs significantly.

    `mean_ranks` and `better` are in order, best first. The scale on top is the Nemenyi critical difference.
    """
    tracks = _lanes(_cliques(better))
    gutter = min(WIDEST_GUTTER, BAR_PITCH * (len(tracks) + 1))
    figure = Figure(figsize=(WIDTH, 1.1 + 0.25 * len(losses)), layout=ConstrainedLayoutEngine(w_pad=0.01, wspace=0))
    figure.patch.set_alpha(0)
    axes, side = figure.subplots(1, 2, width_ratios=[WIDTH - gutter, gutter])
    for each in (axes, side):
        plain(each)
        name_rows(each, losses)
        each.set_ylim(len(losses) - 0.4, TOP)
    _dots(axes, mean_ranks)
    _scale(axes, float(nemenyi(len(losses), cases, alpha)), len(losses))
    _bars(side, tracks)
    return figure


def nemenyi(losses: int, cases: int, alpha: float) -> float:
    """Compute the difference of mean ranks that Nemenyi's test calls significant (Demsar 2006)."""
    # q / sqrt(2) sqrt(k (k + 1) / (6 N)), q the studentized range of k groups and infinite degrees of freedom.
    quantile = studentized_range.ppf(1 - alpha, losses, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(losses * (losses + 1) / (6 * cases)))


def _cliques(better: Flags) -> list[Run]:
    """Find the longest runs of neighbours without a significant pair, as (first, last)."""
    differ = better | better.T
    runs: list[Run] = []
    for first in range(len(better)):
        last = first
        # Every pair inside must be alike, not only neighbours: "not separated" is not transitive.
        while last + 1 < len(better) and not differ[first : last + 2, first : last + 2].any():
            last += 1
        # A run that ends where an earlier one does is a part of it.
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _lanes(runs: Sequence[Run]) -> list[list[Run]]:
    """Distribute runs over as few lanes as possible, so that those of one lane do not touch."""
    # First fit over runs sorted by their beginning needs the fewest lanes.
    tracks: list[list[Run]] = []
    for run in runs:
        free = next((track for track in tracks if track[-1][1] < run[0]), None)
        if free is None:
            tracks.append([run])
        else:
            free.append(run)
    return tracks


def _dots(axes: Axes, mean_ranks: Floats) -> None:
    count = len(mean_ranks)
    axes.hlines(range(count), 0.5, mean_ranks, color=LINE, linewidth=0.8)
    axes.plot(mean_ranks, range(count), "o", color=INK, markersize=5)
    axes.set_xlim(0.5, count + 0.5)
    axes.set_xticks(places(count))
    axes.set_xlabel("mean rank within a case (1 = best)")
    right = axes.twinx()
    right.spines[:].set_visible(False)
    right.set_ylim(axes.get_ylim())
    right.set_yticks(range(count), [f"{rank:.2f}" for rank in mean_ranks])
    right.tick_params(length=0, labelsize=8, labelcolor=MUTED)


def _scale(axes: Axes, width: float, count: int) -> None:
    """Draw the critical difference above the rows, as long as it is on the axis."""
    shown = min(width, count - 0.5)
    axes.plot([0.5, 0.5 + shown], [-0.85, -0.85], color=SOFT, linewidth=3, solid_capstyle="butt")
    beyond = "" if shown == width else ", beyond the scale"
    axes.text(0.5, -1.05, f"critical difference {width:.2f}{beyond}", color=MUTED, fontsize=8, va="bottom")


def _bars(side: Axes, tracks: Sequence[Sequence[Run]]) -> None:
    side.grid(visible=False)
    side.set_xticks([])
    side.set_yticks([])
    side.set_xlim(-0.7, max(len(tracks), 1) - 0.3)
    for place, track in enumerate(tracks):
        for first, last in track:
            side.plot([place, place], [first - 0.3, last + 0.3], color=ACCENT, linewidth=2.6, solid_capstyle="round")
