"""Errors that are not the run's own: a full disk stops all runs, and memory can be too small."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import torch

FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error comes from a disk, or the user's share of it, that is full."""
    # This is all that torch says of a file that it opened by its name and cannot write.
    return any(getattr(each, "errno", 0) in FULL or "iostream error" in str(each) for each in _chain(error))


def explain(error: Exception) -> str:
    """Put an error into the words of a record."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "can't allocate memory" in said:
        return f"out of memory; a smaller batch or patch, or fewer runs at a time, need less ({said})"
    return said


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it: libraries wrap an error in their own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
