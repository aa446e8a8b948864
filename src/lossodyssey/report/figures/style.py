"""How all figures look, and how they become inline SVG that follows the page's light or dark colours."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

INK, MUTED, LINE, SOFT, ACCENT, SECOND = "#16202a", "#66717d", "#dde2e7", "#a9b4bf", "#1f6fb2", "#d9822b"
FAINT = "#9cc4e4"
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", SOFT: "soft", ACCENT: "accent", SECOND: "second", FAINT: "faint"}
SERIES = ("#1f6fb2", "#d9822b", "#1a9a82", "#b5549b", "#7a6a00", "#56a9e0")
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, small, in the page's font
    "svg.hashsalt": "lossodyssey",  # a fixed salt: equal figures have equal ids and bytes
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,
}
RASTER_DPI = 110
TICKS = 5
LETTER = 0.085
"""Inches that a letter of a label takes on average."""
WIDTH = 5.4
"""Inches. All figures share it: between one and two columns of a journal, and legible on a phone without scrolling."""


def canvas(height: float) -> tuple[Figure, Axes]:
    """Start a figure `height` inches high with one bare set of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    plain(axes)
    return figure, axes


def plain(axes: Axes) -> None:
    """Take frame and tick marks away; leave light vertical guides."""
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=9, colors=MUTED, labelcolor=INK)
    axes.xaxis.label.set(color=MUTED, size=9)
    axes.yaxis.label.set(color=MUTED, size=9)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.locator_params(axis="x", nbins=TICKS)
    axes.set_axisbelow(True)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write the names down the left side, the first one on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def places(count: int) -> list[int]:
    """Choose the ranks from 1 to `count` that a scale names: at most 15 of them."""
    if count <= 14:
        return list(range(1, count + 1))
    step = next(step for step in (5, 10, 20, 50, 100, count) if count <= 14 * step)
    return [1, *range(step, count + 1, step)]


def stagger(names: Sequence[str], room: float) -> list[str]:
    """Lift neighbouring names above each other, so that each has `room` inches and needs no more."""
    levels = math.ceil(max(map(len, names)) * LETTER / room)
    return [name + "\n" * (place % levels) for place, name in enumerate(names)]


def svg(figure: Figure, key: str, title: str) -> str:
    """Render to an SVG element for the page: own ids, the page's font and colours, no outside reference."""
    text = _render(figure)
    # Without a size of its own the figure scales with the page; the viewBox keeps its proportions.
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text[text.index("<svg") :], count=2)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", text).replace("xlink:href", "href")
    # Ids are global in HTML: two figures with a clip path "p1" would share one.
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", text)
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    # Hundredths of a point are invisible, and digits are most of the file.
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), text)

    # Colours become variables of the style sheet, which has a second set for dark screens.
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def save(figure: Figure, stem: str) -> dict[str, bytes]:
    """Render to files: name -> content, as SVG, and as PNG and PDF on white."""
    _without_mathtext(figure)
    with mpl.rc_context(SETTINGS):
        png, pdf = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=160, facecolor="white")
        # No date, so that equal tables give equal files; letters as outlines of one font, which journals ask for.
        figure.savefig(pdf, format="pdf", facecolor="white", metadata={"CreationDate": None})
    files = {"svg": _render(figure).encode(), "png": png.getvalue(), "pdf": pdf.getvalue()}
    return {f"{stem}.{kind}": content for kind, content in files.items()}


def _without_mathtext(figure: Figure) -> None:
    """Take every text as it is: the names of data sets, classes and metrics may hold dollar signs."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)


def _render(figure: Figure) -> str:
    _without_mathtext(figure)
    with mpl.rc_context(SETTINGS):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
