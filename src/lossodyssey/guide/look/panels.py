"""The small pictures of a figure: a response, a scene, a pull, a map of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from lossodyssey.guide.look.scenes import Scene
from lossodyssey.guide.look.sheet import Sheet
from lossodyssey.guide.look.sight import PROBABILITIES, Look, Pull, TruthMap
from lossodyssey.report.figures.style import ACCENT, LINE, MUTED, SECOND, SERIES

Floats = NDArray[np.float64]
Place = tuple[float, float]
"""The left and upper end of a panel's picture, in inches."""

SIDE = 1.6
"""Inches of a picture."""
UP, DOWN, AMOUNT, GREY = ACCENT, SECOND, SERIES[2], "#808890"
VALUE, GRADIENT = SERIES[2], SERIES[3]
LEVELS = 24
"""Steps of a colour: more cannot be told apart, and fewer make smaller files."""
LETTERS = 28
"""Letters of a line that is as wide as a picture."""
INSET = 0.36
"""Inches left and right of a curve, for its numbers."""


def response(sheet: Sheet, place: Place, look: Look) -> None:
    """Draw value and gradient of a loss over the probability of one voxel's true class, each on a scale of its own."""
    left, right = place[0] + INSET, place[0] + SIDE - INSET
    _scaled(sheet, place, look.values, VALUE, dashed=False)
    _scaled(sheet, place, look.gradients, GRADIENT, dashed=True)
    floor = place[1] + SIDE
    sheet.curve([left, right], [floor, floor], LINE)
    for x, words, side in (
        (left, "0", "center"),
        ((left + right) / 2, "p of a voxel", "center"),
        (right, "1", "center"),
    ):
        sheet.text(x, floor + 0.15, words, MUTED, 7, ha=side)
    sheet.text(left, place[1] - 0.06, "loss", VALUE)
    sheet.text(right, place[1] - 0.06, "gradient", GRADIENT, ha="right")


def _scaled(sheet: Sheet, place: Place, numbers: Sequence[float], colour: str, *, dashed: bool) -> None:
    """Draw numbers over the whole height of a panel, with the least and the greatest beside it."""
    known = [number for number in numbers if np.isfinite(number)] or [np.nan]
    low, high = min(known), max(known)
    flat = not high - low > 1e-9 * max(abs(high), abs(low))
    ends = [low, *([0.0] if low < 0 < high else []), *([] if flat else [high])]
    across = place[0] + INSET + np.array(PROBABILITIES) * (SIDE - 2 * INSET)

    def height(number: float) -> float:
        # NaN stays NaN, and is not drawn.
        share = 0.5 + 0 * number if flat else (number - low) / (high - low)
        return place[1] + 0.08 + (1 - share) * (SIDE - 0.16)

    sheet.curve(
        across, [height(number) for number in numbers], colour, linewidth=1.5, linestyle=(0, (4, 2)) if dashed else "-"
    )
    x, side = (place[0] + SIDE - INSET + 0.05, "left") if dashed else (place[0] + INSET - 0.05, "right")
    heights = [height(end) for end in ends]
    for end, y in zip(ends, heights, strict=True):
        # The 0 between them is left out where its text would touch theirs.
        if end or min((abs(y - other) for other in heights if other != y), default=1.0) > 0.16:
            sheet.text(x, y, f"{end:.2g}", colour, 7, ha=side, va="center")


def scene(sheet: Sheet, place: Place, shown: Scene) -> None:
    """Draw a prediction in grey, with the outlines of the truth and of p > 1/2."""
    sheet.picture(*place, SIDE, shades(shown.probability.numpy(), 1.0, GREY, GREY))
    _outlines(sheet, place, shown)
    titled(sheet, place, shown.name, shown.says)


def pull(sheet: Sheet, place: Place, shown: Pull, title: str = "") -> None:
    """Draw where a loss pulls the object's logit up and down, on a scale of its own; the title names the scene."""
    sheet.picture(*place, SIDE, shades(shown.pull, shown.most, UP, DOWN))
    _outlines(sheet, place, shown.scene)
    scale = f"pull ±{shown.most:.2g}" if shown.most else "no pull"
    titled(sheet, place, title or shown.scene.name, f"loss {shown.value:.3g}, {scale}")


def truth_map(sheet: Sheet, place: Place, shown: TruthMap, number: int, where: Scene) -> None:
    """Draw the map of a scene's truth: blue below 0, orange above it, or one colour where nothing is below."""
    values = shown.values[number]
    above = DOWN if shown.signed else AMOUNT
    sheet.picture(*place, SIDE, shades(values, float(np.abs(values).max()), above, UP))
    sheet.outline(*place, SIDE, where.truth.numpy())
    titled(sheet, place, where.name, f"{values.min():.3g} to {values.max():.3g}")


def words(sheet: Sheet, place: Place, title: str, text: str) -> None:
    """Write words in the place of a picture."""
    head = fill(title, LETTERS)
    sheet.text(place[0], place[1] - 0.18, head, va="top")
    below = place[1] - 0.07 + 0.15 * (head.count("\n") + 1)
    sheet.text(place[0], below, fill(text, LETTERS + 4), MUTED, 7, va="top", linespacing=1.4)


def titled(sheet: Sheet, place: Place, above: str, below: str) -> None:
    """Write a line above a picture and one below it, or two where it is long."""
    sheet.text(place[0], place[1] - 0.06, above)
    sheet.text(place[0], place[1] + SIDE + 0.05, fill(below, LETTERS + 2), MUTED, 7, va="top")


def shades(values: Floats, most: float, above: str, below: str) -> NDArray[np.uint8]:
    """Return values as colours (H, W, 4), the more opaque the farther they are from 0, which shows the paper."""
    share = np.nan_to_num(values) / (most or 1.0)
    colours = np.where((share >= 0)[..., None], to_rgb(above), to_rgb(below))
    opacity = np.round(np.abs(share).clip(0, 1) * LEVELS) / LEVELS
    # A pixel that cannot be seen has no colour: files compress better.
    colours = np.where(opacity[..., None] > 0, colours, 0)
    return np.asarray((255 * np.dstack([colours, opacity])).round().astype(np.uint8))


def _outlines(sheet: Sheet, place: Place, shown: Scene) -> None:
    sheet.outline(*place, SIDE, shown.truth.numpy())
    sheet.outline(*place, SIDE, shown.probability.numpy() > 0.5, dashed=True)
