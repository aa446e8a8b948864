"""TIFF files of several pages: a volume with the axes (page, row, column), or the channels of one picture.

The pages of a stack have no place in a patient: they are counted from the first, as are its rows and columns.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.sizes import DENSEST, RefusedError, check_claim

FLAT, CHANNELS, MOMENTS = "YX", "CS", "T"
ANY = 1 << 20  # bytes that a byte unpacks to under any other compression: in effect no limit
DENSITIES = {1: 1, 8: DENSEST, 32946: DENSEST}  # the same by TIFF's numbers of no compression and of deflate
INVERTED = 0  # TIFF's number of pictures whose 0 is white
BROKEN = re.compile(r"page offset|series metadata|failed to reshape|corrupt", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """The letters of the axes (Y row, X column, S and C channels, any other: pages), and whether pages are many.

    `plain` says that the picture is one page with samples of a kind that every reader gives in full.
    """

    axes: str
    shape: tuple[int, ...]
    plain: bool

    @property
    def is_volume(self) -> bool:
        """Whether pages lie above each other in space."""
        return any(letter not in FLAT + CHANNELS for letter in self.axes)


def layout(path: Path) -> Layout:
    """Return how the file is laid out; its values are not read.

    Raises:
        RefusedError: its pages are several pictures, moments, or more than one axis of space.
        ValueError: it is damaged.
    """
    with _opened(path) as tiff:
        return _layout(path, tiff)


def read_stack(path: Path) -> NDArray[Any]:
    """Return the values of all pages: (page, row, column) or (row, column), and channels last where there are several.

    Raises:
        ValueError: it is damaged, claims more than it holds, or is packed in a way that needs another package.
    """
    with _opened(path) as tiff:
        found = _layout(path, tiff)
        series = tiff.series[0]
        pages = list(series.pages)
        density = max(DENSITIES.get(page.compression, ANY) for page in pages)
        check_claim(path, found.shape, series.dtype.itemsize * _share(series), 0, density=density)
        _check_strips(path, pages, len(found.shape))
        values: NDArray[Any] = _decoded(path, series)
        if pages[0].photometric == INVERTED and values.dtype.itemsize == 1:
            values = ~values if values.dtype == bool else 2 ** pages[0].bitspersample - 1 - values
    return _channels_last(values, found.axes)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the file, and refuse one that the library finds damaged: it would leave out the pages after the damage."""
    from tifffile import TiffFile

    logger, told = logging.getLogger("tifffile"), _Told()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(told)
    try:
        # Never the other files that its metadata name: these come from elsewhere.
        with TiffFile(path, _multifile=False) as tiff:
            yield tiff
    finally:
        logger.removeHandler(told)
        logger.propagate = propagate


class _Told(logging.Handler):
    """Raises an error for damage that a library only logs."""

    def emit(self, record: logging.LogRecord) -> None:
        if BROKEN.search(text := record.getMessage()):
            raise ValueError(text)


def _layout(path: Path, tiff: Any) -> Layout:
    many = len(tiff.pages)
    if tiff.is_ome and len(files := set(re.findall(r'\bFileName\s*=\s*"([^"]*)"', tiff.ome_metadata))) > 1:
        raise RefusedError(f"{path}: its pages are in {len(files)} files; save them in one")
    series = tiff.series
    if len(series) != 1:
        shapes = ", ".join(" x ".join(map(str, each.shape)) for each in series[:4])
        raise RefusedError(f"{path}: holds {len(series)} pictures of different sizes or kinds ({shapes}); expected one")
    axes, shape, page = series[0].axes, tuple(map(int, series[0].shape)), series[0].keyframe
    if MOMENTS in axes:
        raise RefusedError(
            f"{path}: its pages are {shape[axes.index(MOMENTS)]} moments (T), not slices; save each moment as a file, "
            "or say in the writing program that they are slices (Z)"
        )
    if len(set(axes) & set(CHANNELS)) > 1 or sum(letter not in FLAT + CHANNELS for letter in axes) > 1:
        raise RefusedError(f"{path}: has the axes {axes} {shape}; expected pages, rows, columns and channels at most")
    claimed = (getattr(tiff, "imagej_metadata", None) or {}).get("images", 1)
    if int(claimed) > 1 and axes == FLAT:
        raise ValueError(f"its header counts {claimed} pictures, but it holds one")
    wide = page.bitspersample == 64 or (page.samplesperpixel > 1 and page.bitspersample > 8) or page.samplesperpixel > 4
    return Layout(axes, shape, many == 1 and len(shape) - ("S" in axes) == 2 and "C" not in axes and not wide)


def _share(series: Any) -> float:
    """Return the bytes that a stored sample takes in proportion to one in memory: bits are packed eight to a byte."""
    bits, most = int(series.keyframe.bitspersample), 8 * int(series.dtype.itemsize)
    return min(bits / most, 1.0)


def _check_strips(path: Path, pages: Sequence[Any], axes: int) -> None:
    """Refuse a page with a part that is not in the file: the library would fill it with zeros."""
    size = path.stat().st_size
    for page in pages:
        parts = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        if not parts or any(count <= 0 or start + count > size for start, count in parts):
            raise ValueError("a part of a page lies behind its end")


def _decoded(path: Path, series: Any) -> NDArray[Any]:
    try:
        return numpy.asarray(series.asarray(maxworkers=1))
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise RefusedError(
            f"{path}: its compression ({series.keyframe.compression.name}) needs imagecodecs, which is not installed; "
            'pip install ".[formats]", or save it without or with deflate'
        ) from None


def _channels_last(values: NDArray[Any], axes: str) -> NDArray[Any]:
    order = sorted(range(len(axes)), key=lambda place: (axes[place] in CHANNELS, axes[place] in FLAT))
    return values.transpose(order)


def write_stack(draft: Path, values: NDArray[Any]) -> None:
    """Write values (page, row, column), a page each, packed with deflate; equal values give equal bytes."""
    from tifffile import imwrite

    imwrite(draft, values, photometric="minisblack", compression="zlib", metadata={"axes": "ZYX"}, software=False)
