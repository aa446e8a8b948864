"""Files that are either whole or absent, whatever kills the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` to write to; rename it to `path` on success, remove it on failure.

    The temporary name keeps all suffixes (`.nii.gz`), because writers choose their format by them.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since a rename is atomic within one file system only; the process id keeps writers apart.
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield draft
        with draft.open("rb") as written:
            # The content reaches the disk before the name: else a crash could leave an empty file of the right name.
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with writing(path) as draft:
        draft.write_text(text, encoding="utf-8")
