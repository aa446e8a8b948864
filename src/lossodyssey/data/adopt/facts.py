"""The contents of images and masks, read once each."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.grids import Grid, read_grid
from lossodyssey.data.nifti import SILENT

MOST = 4096  # distinct values or colours of one mask that are counted one by one
UNEVEN = 12  # difference of neighbours that still counts as one surface, in 255ths
SAMPLE = 1 << 18  # values of an image that are looked at to tell it from a mask
SHADES = 16  # values from which on a mask may have shades of grey
WHOLE = 1 << 16
LOSSY = (".jpg", ".jpeg")
ROUGH = 24  # difference of channels that lossy compression makes in a grey picture, in 255ths


@dataclass(frozen=True)
class ImageFacts:
    """Shape without channels, number of channels, and what may be left out of them; `affine` says where it lies.

    `levels` is the number of distinct values, 0 where there are more than a mask may have. Images whose files do not
    say the size of their pixels are not `sized`, and those whose headers do not say how their axes lie not `oriented`.
    """

    path: Path
    shape: tuple[int, ...]
    channels: int
    grey: bool
    alpha: str
    affine: NDArray[numpy.float64]
    levels: int = 0
    sized: bool = True
    oriented: bool = True
    notes: tuple[str, ...] = ()

    @property
    def seen(self) -> int:
        """The number of channels without the transparency."""
        return self.channels - bool(self.alpha)


@dataclass(frozen=True)
class MaskFacts:
    """Counts of the values of a mask, and of those among equal neighbours; a colour (R, G, B) is one number.

    `counts` are empty where there are too many values to be labels; `kind` is grey, colour or palette.
    """

    path: Path
    shape: tuple[int, ...]
    kind: str
    counts: Mapping[float, int]
    flat: Mapping[float, int]
    affine: NDArray[numpy.float64]
    places: Mapping[int, int] = field(default_factory=dict)
    extra: str = ""
    sized: bool = True
    notes: tuple[str, ...] = ()

    @property
    def lossy(self) -> bool:
        """Whether the format changes values when it stores them."""
        return self.path.suffix.lower() in LOSSY


_COUNTED = ("grey", "colour", "palette")


def read_quietly(path: Path) -> tuple[Grid, tuple[str, ...]]:
    """Read a file, with the warnings of its reader as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grid = read_grid(path)
    return grid, tuple(str(warning.message) for warning in caught)


def read_image_facts(path: Path) -> ImageFacts:
    """Read an image and return its facts."""
    grid, notes = read_quietly(path)
    values = grid.shown
    dims = grid.affine.shape[0] - 1
    channels = values.shape[-1] if values.ndim > dims else 1
    alpha = _alpha(values, dims, channels)
    colours = values[..., : channels - bool(alpha)] if channels > 1 else values
    picture = dims == 2 or values.dtype == numpy.uint8
    grey = channels in (2, 3, 4) and picture and _is_grey(colours, path.suffix.lower() in LOSSY)
    return ImageFacts(
        path,
        values.shape[:dims],
        channels,
        grey,
        alpha,
        grid.affine,
        _levels(colours),
        grid.sized,
        grid.doubt != SILENT,
        notes,
    )


def _levels(values: NDArray[Any]) -> int:
    """Count the distinct values of a picture, or of a part of it that is spread over a large one."""
    return len(_counts(values.ravel()[:: max(1, values.size // SAMPLE)]))


def _alpha(values: NDArray[Any], dims: int, channels: int) -> str:
    """Return `constant` or `varying` for a last channel that is the transparency of a picture, else nothing."""
    if dims != 2 or channels not in (2, 4):
        return ""
    last = values[..., -1]
    return "constant" if (last == last.flat[0]).all() else "varying"


def _is_grey(colours: NDArray[Any], lossy: bool) -> bool:
    if colours.shape[-1] == 1:
        return True
    first = colours[..., :1].astype(numpy.int64)
    return bool((numpy.abs(colours - first) <= (ROUGH if lossy else 0)).all())


def read_mask_facts(path: Path) -> MaskFacts:
    """Read a mask and count its values."""
    grid, notes = read_quietly(path)
    values, kind, extra = stored(grid)
    places = {}
    if grid.colours is not None:
        kind = "palette"
        first = numpy.unique(grid.values, return_index=True)
        places = {int(place): int(values.flat[index]) for place, index in zip(*first, strict=True)}
    counts = _counts(values)
    # Two values have no edges between them and small labels are not blurred; looking for surfaces takes long.
    plain = len(counts) == 2 or (kind == "grey" and 0 <= max(counts, default=0) < SHADES)
    flat = counts if plain or kind not in _COUNTED else _counts(values[_is_flat(values, grid, path)])
    shape = tuple(values.shape)
    return MaskFacts(path, shape, kind, counts, flat, grid.affine, places, extra, grid.sized, notes)


def stored(grid: Grid) -> tuple[NDArray[Any], str, str]:
    """Return the values of a mask, one per pixel, whether they are grey or colours, and what was left out of them.

    Colours become numbers 0xRRGGBB, also the colours of a palette unless these are grey.
    """
    values, extra = grid.shown, ""
    dims = grid.affine.shape[0] - 1
    if values.ndim <= dims:
        return values, "grey", ""
    channels = values.shape[-1]
    if alpha := _alpha(values, dims, channels):
        extra = f"{alpha} transparency"
        values = values[..., :-1]
    if values.ndim != dims + 1 or values.shape[-1] not in (1, 3):
        return values, f"{channels} channels", extra
    if _is_grey(values, grid.path.suffix.lower() in LOSSY):
        return values[..., 0], "grey", extra or "equal channels"
    if values.dtype != numpy.uint8:
        return values, f"colours of type {values.dtype}", extra
    red, green, blue = numpy.moveaxis(values.astype(numpy.int32), -1, 0)
    return (red << 16) | (green << 8) | blue, "colour", extra


def _counts(values: NDArray[Any]) -> dict[float, int]:
    if values.dtype.kind == "f" and _are_whole(values):
        values = values.astype(numpy.uint16)
    if values.dtype.kind in "bui" and values.size and values.dtype.itemsize <= 2 and values.min() >= 0:
        found = numpy.bincount(values.ravel())
        distinct = numpy.flatnonzero(found)
        number = found[distinct]
    else:
        distinct, number = numpy.unique(values, return_counts=True)
    return {} if len(distinct) > MOST else dict(zip(distinct.tolist(), number.tolist(), strict=True))


def _are_whole(values: NDArray[Any]) -> bool:
    """Return whether all numbers are whole and small, which are counted faster than any."""
    # NaN fails the comparison, and so does infinity, before they would make the remainder warn.
    return bool(values.size and 0 <= values.min() <= values.max() < WHOLE and not (values % 1).any())


def _is_flat(values: NDArray[Any], grid: Grid, path: Path) -> NDArray[numpy.bool_]:
    """Return where all neighbours are nearly equal: at blurred edges they never are."""
    from scipy.ndimage import maximum_filter, minimum_filter

    shown = grid.shown
    if values.dtype.kind == "b":
        return numpy.ones(values.shape, bool)
    # Slices of a thick volume are looked at one by one.
    size = (3, 3, *(1,) * (values.ndim - 2))
    if shown.ndim == values.ndim:
        tolerance = 0 if path.suffix.lower() not in LOSSY else UNEVEN
        return numpy.asarray(_range(values, size, maximum_filter, minimum_filter) <= tolerance)
    layers = numpy.moveaxis(shown, -1, 0)
    even = [_range(layer, size, maximum_filter, minimum_filter) <= UNEVEN for layer in layers]
    return numpy.asarray(numpy.all(even, axis=0))


def _range(values: NDArray[Any], size: tuple[int, ...], most: Any, least: Any) -> NDArray[Any]:
    return numpy.asarray(most(values, size=size) - least(values, size=size))


def joined_counts(masks: list[MaskFacts], *, flat: bool = False) -> Counter[float]:
    """Add the counts of masks."""
    total: Counter[float] = Counter()
    for mask in masks:
        total.update(mask.flat if flat else mask.counts)
    return total
