"""Files that are either whole or absent, whatever kills the process."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = re.compile(r"\.[0-9a-f]{12}\.")


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` to write to; rename it to `path` on success, remove it on failure.

    Each writing draws a new temporary name, so that simultaneous writers do not meet: the last one to finish stays. It
    keeps all suffixes (`.nii.gz`), because writers choose their format by them.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since a rename is atomic within one file system only. A process id would not keep writers
    # apart: threads share theirs, and so do containers with a disk in common.
    draft = path.with_name(f".{secrets.token_hex(6)}.{path.name}")
    try:
        yield draft
        with draft.open("rb") as written:
            # The content reaches the disk before the name: else a crash could leave an empty file of the right name.
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Remove half-written files that a killed process left in a folder, if no other process writes there now."""
    for path in folder.glob(".*"):
        if DRAFT.match(path.name):
            path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with writing(path) as draft:
        draft.write_text(text, encoding="utf-8")
