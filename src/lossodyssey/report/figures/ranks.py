"""Ranks: how they vary with the cases drawn, with the metric, and which differ at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import studentized_range

from lossodyssey.report.figures.style import ACCENT, INK, LINE, MUTED, SOFT, canvas, label, name_rows

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def blobs(draws: Floats, losses: list[str], strong: Collection[str]) -> Figure:
    """Draw how often each rank occurs in (draws, losses): the larger the blob, the more often."""
    figure, axes = canvas(7.6, 0.9 + 0.34 * len(losses))
    name_rows(axes, losses)
    for row, loss in enumerate(losses):
        places, counts = np.unique(draws[:, row], return_counts=True)
        colour = ACCENT if loss in strong else SOFT
        low, median, high = np.quantile(draws[:, row], [0.025, 0.5, 0.975])
        axes.plot([low, high], [row, row], color=colour, linewidth=1)
        axes.scatter(places, np.full(len(places), row), s=190 * counts / len(draws), color=colour, linewidths=0)
        axes.plot([median], [row], marker="|", markersize=11, color=INK)
    axes.set_xlim(0.4, len(losses) + 0.6)
    axes.set_xticks(_places(len(losses)))
    axes.set_xlabel("rank when the cases are drawn again (1 = best)")
    return figure


def by_metric(positions: Floats, metrics: Sequence[str], losses: list[str], strong: Collection[str]) -> Figure:
    """Draw the (metrics, losses) ranks side by side, one line per loss."""
    figure, axes = canvas(7.6, 1.1 + 0.32 * len(losses))
    last = len(metrics) - 1
    slots = np.argsort(np.argsort(positions[-1], kind="stable")) + 1
    for own, slot, loss in zip(positions.T, slots, losses, strict=True):
        colour, order = (ACCENT, 3) if loss in strong else (SOFT, 2)
        axes.plot(range(len(metrics)), own, color=colour, linewidth=1.8, marker="o", markersize=5, zorder=order)
        axes.plot([last, last + 0.06], [own[-1], slot], color=LINE, linewidth=0.8, zorder=1)
        axes.text(last + 0.08, slot, label(loss, 40), va="center", fontsize=9, color=INK)
    axes.set_xlim(-0.15, len(metrics) - 0.1 + 0.35 * len(metrics))
    axes.set_ylim(len(losses) + 0.6, 0.4)
    axes.set_xticks(range(len(metrics)), metrics)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_yticks(_places(len(losses)))
    axes.set_ylabel("rank")
    return figure


def critical_difference(mean_ranks: Floats, better: Flags, losses: Sequence[str], cases: int, alpha: float) -> Figure:
    """Draw mean ranks on a line; a bar joins losses of which no pair differs significantly.

    `mean_ranks` and `better` are in order, best first. The scale bar is the Nemenyi critical difference.
    """
    bars = _cliques(better)
    half = (len(losses) + 1) // 2
    height = 1.0 + 0.27 * half + 0.13 * len(bars)
    figure, axes = canvas(8.6, height)
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.set_xlim(0.5, len(losses) + 0.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=3, color=SOFT)
    axes.set_xticks(_places(len(losses)))
    depth = 0.13 * len(bars) + 0.27 * half + 0.3
    axes.set_ylim(depth, -0.45)
    axes.axhline(0, color=INK, linewidth=1)
    for level, (first, last) in enumerate(bars):
        y = 0.14 + 0.13 * level
        axes.plot([mean_ranks[first] - 0.06, mean_ranks[last] + 0.06], [y, y], color=ACCENT, linewidth=3.2)
    for i, (place, loss) in enumerate(zip(mean_ranks, losses, strict=True)):
        left = i < half
        y = 0.13 * len(bars) + 0.27 * ((i if left else len(losses) - 1 - i) + 1)
        edge = 0.5 if left else len(losses) + 0.5
        axes.plot([place, place, edge], [0, y, y], color=MUTED, linewidth=0.8, clip_on=False)
        name = f"{label(loss, 60)}  {place:.2f} " if left else f" {place:.2f}  {label(loss, 60)}"
        axes.text(edge, y, name, ha="right" if left else "left", va="center", fontsize=8.5, color=INK)
    width = float(nemenyi(len(losses), cases, alpha))
    axes.plot([1, 1 + width], [-0.3, -0.3], color=MUTED, linewidth=2, clip_on=False)
    axes.text(1.1 + width, -0.3, f"critical difference (Nemenyi) {width:.2f}", va="center", fontsize=8, color=MUTED)
    return figure


def nemenyi(losses: int, cases: int, alpha: float) -> float:
    """Difference of mean ranks that Nemenyi's test calls significant (Demsar 2006, eq. 3)."""
    quantile = studentized_range.ppf(1 - alpha, losses, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(losses * (losses + 1) / (6 * cases)))


def _cliques(better: Flags) -> list[tuple[int, int]]:
    """Longest runs of neighbours without a significant pair, as (first, last)."""
    differ = better | better.T
    runs: list[tuple[int, int]] = []
    for first in range(len(better)):
        last = first
        while last + 1 < len(better) and not differ[first : last + 2, first : last + 2].any():
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _places(count: int) -> list[int]:
    return list(range(1, count + 1, 1 if count <= 14 else 2))
