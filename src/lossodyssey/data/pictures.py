"""A PNG or TIFF file: samples as they are stored, and nothing less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.sizes import RefusedError, TooLargeError

BITS, SAMPLE_FORMAT = 258, 339  # tags of TIFF
UNSIGNED, SIGNED = 1, 2
STRETCHED = {"L;2": 85, "L;4": 17}  # how the reader stretches few bits to eight


def read_picture(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the samples (H, W) or (H, W, channels) of a picture, and the colours where they are places in a palette.

    Raises:
        ValueError: the reader would leave out bits or pages, or a check sum is wrong.
    """
    _verify(path)
    with _open(path) as picture:
        # Pillow would give the first page of a stack without a word.
        if getattr(picture, "n_frames", 1) > 1:
            raise ValueError("it holds several pages, expected one")
        raw = _raw_mode(picture)
        if ";16" in raw and picture.mode[0] not in "IF":
            raise RefusedError(
                f"{path}: holds {raw.partition(';')[0]} of 16 bits, of which 8 would be read; expected one grey "
                "picture of 16 bits per channel"
            )
        return _samples(picture, raw), _colours(picture)


def _open(path: Path) -> Any:
    from PIL import Image

    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise TooLargeError(f"{path}: claims more than {most:,} pixels; cut the picture into tiles") from None


def _verify(path: Path) -> None:
    """Compare the check sums of a PNG file, which reading does not; TIFF has none."""
    with _open(path) as picture:
        picture.verify()


def _raw_mode(picture: Any) -> str:
    """Return how samples are stored, in the reader's words."""
    arguments = picture.tile[0][3] if picture.tile else ""
    return str(arguments if isinstance(arguments, str) else arguments[0])


def _samples(picture: Any, raw: str) -> NDArray[Any]:
    tags = getattr(picture, "tag_v2", {})
    bits, kind = tags.get(BITS, (0,))[0], tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
    values: NDArray[Any] = numpy.asarray(picture)
    if picture.mode == "L" and raw[:3] in STRETCHED:
        return values // STRETCHED[raw[:3]]
    if picture.mode == "L" and (bits, kind) == (8, SIGNED):
        return values.view(numpy.int8)
    if picture.mode == "I" and (bits, kind) == (32, UNSIGNED):
        return values.view(numpy.uint32)
    return values


def _colours(picture: Any) -> NDArray[Any] | None:
    """Return the colours (H, W, 3) of a picture with a palette, or its greys (H, W); None for a picture without."""
    if picture.mode != "P":
        return None
    colours: NDArray[Any] = numpy.asarray(picture.convert("RGB"))
    # A grey picture stored with a palette has one channel, as its neighbours stored without.
    grey = (colours == colours[..., :1]).all()
    return colours[..., 0] if grey else colours
