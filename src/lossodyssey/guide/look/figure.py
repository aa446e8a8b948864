"""The figure: for every loss its response, its pull on every scene, and a row for each map it makes of the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from textwrap import fill

from matplotlib.figure import Figure

from lossodyssey.guide.look import panels
from lossodyssey.guide.look.panels import SIDE, Place
from lossodyssey.guide.look.sheet import DASHES, Sheet
from lossodyssey.guide.look.sight import Look, Pull
from lossodyssey.report.figures.style import MUTED

WIDE, NARROW = 6, 3
"""Panels of a row: all of a loss, or half of them for a page of text and for phones."""
GAP = 0.3
"""Inches between two panels: three in a row are as wide as a figure of the report."""
MARGIN = 0.02
"""Inches that keep the last frame whole."""
ABOVE, BELOW, HEADING, LINE, APART = 0.2, 0.36, 0.3, 0.17, 0.08
LETTERS = 18
"""Letters of a heading above each column."""
IN_TEXT = (2, 3)
"""The scenes whose maps a narrow figure shows: one in a row, and not all, keeps it short."""

Cell = Callable[[Sheet, Place], None]
Block = tuple[str, list[Cell]]
"""A heading, and the panels below it."""


def figure(looks: Sequence[Look], *, columns: int = WIDE, predictions: bool = True) -> Figure:
    """Draw looks at losses, one below the other, in rows of `columns` panels; `predictions` puts the scenes first."""
    blocks = [block for look in looks for block in _of_loss(look, columns)]
    if predictions:
        blocks.insert(0, _of_scenes(looks[0]))
    return _drawn(blocks, columns)


def one_scene(pulls: Mapping[str, Pull], *, columns: int = NARROW) -> Figure:
    """Draw the pulls of several losses, by their names, on one scene side by side."""
    cells: list[Cell] = [partial(panels.pull, shown=pull, title=name) for name, pull in pulls.items()]
    return _drawn([("", cells)], columns)


def five_scenes(look: Look) -> Figure:
    """Draw the scenes of a look alone, without a loss."""
    return _drawn([_of_scenes(look)], NARROW)


def _drawn(blocks: Sequence[Block], columns: int) -> Figure:
    """Draw blocks of panels one below the other, below a legend."""
    width = columns * SIDE + (columns - 1) * GAP + MARGIN
    legend = 0.26 if columns == WIDE else 0.44
    sheet = Sheet(width, legend + sum(_height(block, columns) for block in blocks))
    _legend(sheet, columns)
    top = legend
    for block in blocks:
        _draw(sheet, block, top, columns)
        top += _height(block, columns)
    return sheet.figure


def _of_scenes(look: Look) -> Block:
    about = "Each scene holds a truth, and a prediction that is wrong in one way. Its probability is grey."
    return "", [
        partial(panels.words, title="Five scenes", text=about),
        *(partial(panels.scene, shown=pull.scene) for pull in look.pulls),
    ]


def _of_loss(look: Look, columns: int) -> list[Block]:
    pulls = [partial(panels.pull, shown=pull) for pull in look.pulls]
    own: Block = (look.text, [partial(panels.response, look=look), *pulls])
    places = range(len(look.pulls)) if columns == WIDE else IN_TEXT
    maps: list[Block] = []
    for made in look.maps:
        drawn = [partial(panels.truth_map, shown=made, number=k, where=look.pulls[k].scene) for k in places]
        says = f"{made.says} Blue below 0, orange above." if made.signed else made.says
        maps.append(("", [partial(panels.words, title=made.name, text=says), *drawn]))
    return [own, *maps]


def _height(block: Block, columns: int) -> float:
    heading, cells = block
    return _head(heading, columns) + math.ceil(len(cells) / columns) * (ABOVE + SIDE + BELOW)


def _head(heading: str, columns: int) -> float:
    return HEADING + LINE * _wrapped(heading, columns).count("\n") if heading else APART


def _wrapped(heading: str, columns: int) -> str:
    return fill(heading, LETTERS * columns)


def _draw(sheet: Sheet, block: Block, top: float, columns: int) -> None:
    heading, cells = block
    if heading:
        sheet.text(0, top + 0.02, _wrapped(heading, columns), size=10, weight="bold", va="top")
    top += _head(heading, columns)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        cell(sheet, (column * (SIDE + GAP), top + row * (ABOVE + SIDE + BELOW) + ABOVE))


def _legend(sheet: Sheet, columns: int) -> None:
    """Draw what colours and lines mean, in one row or in two."""
    xs = (0, 2.5, 4.1, 5.0) if columns == WIDE else (0, 2.85, 0, 2.85)
    ys = (0, 0, 0, 0) if columns == WIDE else (0, 0, 0.18, 0.18)
    says = ("training pushes towards the object", "away from it", "truth", "prediction, p = 1/2")
    for x, y, words in zip(xs, ys, says, strict=True):
        sheet.text(x + 0.24, y + 0.13, words, MUTED)
    for x, y, colour in zip(xs, ys, (panels.UP, panels.DOWN), strict=False):
        sheet.swatch(x, y + 0.03, colour)
    for x, y, line in zip(xs[2:], ys[2:], ("-", DASHES), strict=True):
        sheet.curve([x, x + 0.18], [y + 0.085, y + 0.085], linestyle=line)
