"""The size that a header claims, checked against the size of its file, before any memory is taken for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

LARGEST = 1 << 31  # values of one file: 1024 x 1024 x 2048 voxels
DENSEST = 1032  # bytes that a byte of a gzip file unpacks to at most: deflate's limit


class RefusedError(ValueError):
    """A file that is whole and refused all the same, for what its message says."""


class TooLargeError(RefusedError):
    """A file that claims or holds an implausible amount of data."""


def check_claim(
    path: Path, shape: Sequence[int], itemsize: float, offset: int, *, density: int | None = None, size: int = 0
) -> int:
    """Check that the header's `shape` is within the limit and that the file can hold it; return the bytes it claims.

    Args:
        path: the file, for messages.
        shape: the numbers of values along each axis, as the header has them.
        itemsize: the bytes of a value.
        offset: the bytes before the first value.
        density: the values' bytes that a byte of the file holds at most, 1 without compression; None where its name
            says it.
        size: the bytes of the file of values, where it is another than `path`.

    Raises:
        TooLargeError: the header claims more.
    """
    if math.prod(shape) > LARGEST:
        raise TooLargeError(
            f"{path}: its header claims {' x '.join(map(str, shape))} values; files of up to {LARGEST:,} are read: "
            "correct the header, or crop or resample the image"
        )

    claimed, size = offset + math.ceil(math.prod(shape) * itemsize), size or path.stat().st_size
    room = size * ((DENSEST if path.name.lower().endswith(".gz") else 1) if density is None else density)
    if claimed > room:
        raise TooLargeError(
            f"{path}: cannot be read, is it cut short? Its header claims {claimed:,} bytes, but a file of {size:,} "
            f"bytes holds at most {room:,}; copy it again"
        )
    return claimed
