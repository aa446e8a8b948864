"""The size that a header claims, held against the size of its file, before any memory is taken for it."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

LARGEST = 1 << 31  # values of one file: 1024 x 1024 x 2048 voxels
DENSEST = 1032  # bytes that a byte of a gzip file unpacks to at most: deflate's limit
CHUNK = 1 << 20


class TooLargeError(ValueError):
    """A file that claims or holds more than can be meant."""


def check_claim(path: Path, shape: Sequence[int], itemsize: int, offset: int) -> None:
    """Check that the header's `shape` is within the limit and that the file can hold it.

    `itemsize` are the bytes of a value, `offset` those before the first. A compressed file is also refused when it
    goes on for longer than the header claims once more.

    Raises:
        TooLargeError: the header claims more, or the file goes on for longer.
    """
    if math.prod(shape) > LARGEST:
        raise TooLargeError(
            f"{path}: its header claims {' x '.join(map(str, shape))} values; files of up to {LARGEST:,} are read: "
            "mend the header, or crop or resample the image"
        )

    claimed, size = offset + math.prod(shape) * itemsize, path.stat().st_size
    packed = path.name.lower().endswith(".gz")
    room = size * DENSEST if packed else size
    if claimed > room:
        raise TooLargeError(
            f"{path}: cannot be read, is it cut short? Its header claims {claimed:,} bytes, but a file of {size:,} "
            f"bytes holds at most {room:,}; copy it again"
        )
    # The trailer is read first, for it costs nothing; only where it disagrees is the file unpacked to see.
    if packed and _size_in_trailer(path) != claimed % 2**32 and _longer_than(path, 2 * claimed + CHUNK):
        raise TooLargeError(
            f"{path}: its header claims {claimed:,} bytes, but it unpacks to more than {2 * claimed + CHUNK:,}; "
            "it is not what it says it is"
        )


def _size_in_trailer(path: Path) -> int:
    """Return the unpacked size, modulo 2^32, that the last part of a gzip file states of itself."""
    with path.open("rb") as file:
        file.seek(-min(4, path.stat().st_size), 2)
        return int.from_bytes(file.read(4), "little")


def _longer_than(path: Path, most: int) -> bool:
    """Return whether a gzip file unpacks to more than `most` bytes; only a chunk of them is held at once."""
    done = 0
    try:
        with gzip.open(path) as stream:
            while done <= most and (chunk := stream.read(CHUNK)):
                done += len(chunk)
    except (EOFError, OSError, zlib.error):
        return False  # the reader says what is wrong with it
    return done > most
