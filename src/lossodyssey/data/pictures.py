"""A PNG, JPEG, BMP, GIF or one-page TIFF file: samples as they are stored, and nothing less."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.sizes import RefusedError, TooLargeError

BITS, SAMPLE_FORMAT = 258, 339  # tags of TIFF
UNSIGNED, SIGNED = 1, 2
ORIENTATION = 274  # tag of EXIF and TIFF
STRETCHED = {"L;2": 85, "L;4": 17}  # how the reader stretches few bits to eight


@dataclass(frozen=True)
class Picture:
    """Samples (H, W) or (H, W, channels), and the colours where they are indices into a palette.

    `notes` say what is odd about the file.
    """

    values: NDArray[Any]
    colours: NDArray[Any] | None
    notes: tuple[str, ...]


def read_picture(path: Path) -> Picture:
    """Read a picture.

    Raises:
        ValueError: the reader would leave out bits or pages, or a checksum is wrong.
    """
    _verify(path)
    with _open(path) as picture:
        # Pillow would silently give the first page of a stack.
        if getattr(picture, "n_frames", 1) > 1:
            raise ValueError("it holds several pages, expected one")
        raw = _raw_mode(picture)
        if ";16" in raw and picture.mode[0] not in "IF":
            raise RefusedError(
                f"{path}: holds {raw.partition(';')[0]} of 16 bits, of which 8 would be read; expected one grey "
                "picture of 16 bits per channel"
            )
        # Programs do not agree whether JPEG holds the ink or the paper that is left.
        if (picture.format, picture.mode) == ("JPEG", "CMYK"):
            raise RefusedError(f"{path}: holds CMYK, the inks of a printer; save it as RGB or grey")
        return Picture(_samples(picture, raw), _colours(picture), _notes(picture))


def _open(path: Path) -> Any:
    from PIL import Image

    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise TooLargeError(f"{path}: claims more than {most:,} pixels; cut the picture into tiles") from None


def _verify(path: Path) -> None:
    """Compare the checksums of a PNG file, which reading does not; the other formats have none."""
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


def _notes(picture: Any) -> tuple[str, ...]:
    """Say that viewers turn the picture: it is read as stored, and masks were often drawn on what viewers show."""
    turned = picture.getexif().get(ORIENTATION, 1)
    return () if turned in (0, 1) else (f"viewers turn it (orientation {turned}), it is read as it is stored",)
