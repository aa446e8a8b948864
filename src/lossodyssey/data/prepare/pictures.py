"""The parts that recipes of pictures share: masks of black and white, images of one or three channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.catalogue import BY_NAME
from lossodyssey.data.catalogue.entry import plain
from lossodyssey.data.grids import Grid, read_grid
from lossodyssey.data.prepare.recipe import Found, Recipe

COLOURS = ("R", "G", "B")
PICTURE = r"\.(?:png|tiff?|jpe?g|bmp)"
WHITE, HALF = 255, 127
BETWEEN = (WHITE // 8, WHITE - WHITE // 8)
BLURRED = 0.05  # share of grey pixels up to which a mask is one whose edges were smoothed
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def picture_recipe(name: str, variant: str = "", **facts: Any) -> Recipe:
    """Make the recipe of a set of pictures with masks; what the catalogue knows of it is taken from there."""
    entry = BY_NAME[name]
    known = {
        "name": variant or name,
        "description": entry.description,
        "origin": entry.source,
        "classes": entry.classes,
        "channels": COLOURS,
        "read_labels": join_masks,
        "read_images": partial(read_channels, channels=len(facts.get("channels", COLOURS))),
        "ending": ".png",
        "flip_axes": entry.flip_axes,
        "licence": entry.licence,
        "reference": entry.reference,
        # Spellings of the name itself are understood anyway.
        "aliases": tuple(a for a in entry.aliases if plain(a) != plain(name)) if not variant else (),
    }
    return Recipe(**{**known, **facts})


def join_masks(found: Found) -> Grid:
    """Return the labels of a case, 1 where any of its masks is white.

    Raises:
        ValueError: a file is not a mask of black and white, or two masks differ in shape.
    """
    first = read_grid(found.labels[0])
    joined = is_white(first)
    for path in found.labels[1:]:
        grid = read_grid(path)
        mask = is_white(grid)
        if mask.shape != joined.shape:
            raise ValueError(
                f"{path}: shape {mask.shape}, but {joined.shape} in {found.labels[0].name}; expected one shape"
            )
        joined = joined | mask
    return replace(first, values=joined.astype(numpy.uint8), colours=None)


def is_white(grid: Grid) -> NDArray[numpy.bool_]:
    """Return where a mask is white; grey edges are cut at one half.

    Raises:
        ValueError: the picture has colours, or too many greys for a mask.
    """
    values = without_alpha(grid)
    if values.ndim == 3 and not (values == values[..., :1]).all():
        raise ValueError(f"{grid.path}: has colours, expected a mask of black and white; is it an image?")
    values = values if values.ndim == 2 else values[..., 0]
    if values.dtype == numpy.bool_ or values.max(initial=0) <= 1:
        return numpy.asarray(values > 0)
    between = float(numpy.mean((values > BETWEEN[0]) & (values < BETWEEN[1])))
    if values.max() > WHITE or between > BLURRED:
        raise ValueError(
            f"{grid.path}: {between:.0%} of its pixels are grey, up to {values.max()}; expected a mask of 0 and 255"
        )
    return numpy.asarray(values > HALF)


def read_channels(found: Found, channels: int) -> Sequence[Grid]:
    """Return the image of a case with one or three channels; colours become grey by their luminance.

    Raises:
        ValueError: the image has another number of channels.
    """
    grid = read_grid(found.images[0])
    values = without_alpha(grid)
    if values.ndim == 3 and values.shape[-1] not in (1, 3):
        raise ValueError(f"{grid.path}: {values.shape[-1]} channels, expected one or three")
    values = values if values.ndim == 3 else values[..., None]
    if channels == 1:
        values = _grey(values)
    elif values.shape[-1] == 1:
        values = numpy.repeat(values, channels, axis=-1)
    return [replace(grid, values=numpy.ascontiguousarray(values), colours=None)]


def without_alpha(grid: Grid) -> NDArray[Any]:
    """Return the values of a picture without its transparency, the second or fourth of its channels."""
    values: NDArray[Any] = grid.shown
    has_alpha = values.ndim == 3 and values.shape[-1] in (2, 4)
    return values[..., :-1] if has_alpha else values


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    if values.shape[-1] == 1 or (values == values[..., :1]).all():
        return values[..., 0]
    grey: NDArray[Any] = numpy.rint(values @ numpy.array(LUMA)).astype(values.dtype)
    return grey


def by_number(paths: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    """Return files by the numbers in their names; where a number occurs twice, the last one stays."""
    return {str(int(number)): path for number, path in paths}
