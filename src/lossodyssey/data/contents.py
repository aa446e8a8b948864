"""The contents of a data set's files, so that an image or a mask that was replaced is noticed.

Reading gigabytes each time is slow, and sizes and times alone mistake a copy for a change and, where a clock is coarse
or set back, a change for a copy. So a file is read once, and again only where its size or one of its times differs.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.atomic import write_text
from lossodyssey.data.grids import size_file
from lossodyssey.data.layouts import Dataset

CHUNK = 1 << 20
COARSE = 2_000_000_000  # ns; the coarsest clock of a file system that is in use
ABSENT = "absent"

Stamp = tuple[int, int, int]
UNSURE: Stamp = (-1, -1, -1)


@dataclass(frozen=True)
class Contents:
    """Digest of every file by its path, and the stamp (size, modified, status changed) that it had when it was read."""

    digests: Mapping[str, str]
    stamps: Mapping[str, Stamp]

    @property
    def digest(self) -> str:
        """A text that is the same for two data sets of equal contents, wherever they lie, and differs for others."""
        return hashlib.sha256("\n".join(self.digests.values()).encode()).hexdigest()[:16]

    def changed(self, memory: Path) -> list[str]:
        """Return the files that hold something else than when `memory` was written."""
        known = _recall(memory)
        return [path for path, digest in self.digests.items() if path in known and known[path][1] != digest]

    def remember(self, memory: Path) -> None:
        """Write what was read to `memory`, beside what it says of other files, if that is new."""
        known = _recall(memory)
        merged = known | {path: (stamp, self.digests[path]) for path, stamp in self.stamps.items()}
        if merged != known:
            lines = {path: [*stamp, digest] for path, (stamp, digest) in merged.items()}
            write_text(memory, json.dumps(lines, indent=0) + "\n")


def read_contents(dataset: Dataset, memory: Path) -> Contents:
    """Read all images and label maps of a data set but those that `memory` knows and whose stamps are the same."""
    return read_files(_files(dataset), memory)


def read_files(paths: Iterable[str], memory: Path) -> Contents:
    """Read files but those that `memory` knows and whose stamps are the same."""
    known = _recall(memory)
    digests: dict[str, str] = {}
    stamps: dict[str, Stamp] = {}
    for path in paths:
        stamp, digest = known.get(path, (UNSURE, ""))
        before = stamp_of(Path(path))
        if stamp != before or stamp == UNSURE:
            digest = _digest(Path(path))
        digests[path] = digest
        # A file that has just been written may change once more within the tick of its clock: it is read again.
        sure = before == stamp_of(Path(path)) and (stamp == before or is_settled(before))
        stamps[path] = before if sure else UNSURE
    return Contents(digests, stamps)


def _files(dataset: Dataset) -> Iterator[str]:
    for case in sorted(dataset.cases, key=lambda case: case.name):
        paths = [*case.images, *([case.label] if case.label else [])]
        # The file beside a picture that says how large its pixels are decides a result as the picture does.
        for path in [*paths, *filter(None, map(size_file, paths))]:
            yield str(path.resolve())


def stamp_of(path: Path) -> Stamp:
    """Return size and times; nobody can set the second time, that of the last change of the file's status."""
    try:
        facts = path.stat()
    except OSError:
        return UNSURE
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def is_settled(stamp: Stamp) -> bool:
    """Return whether a file was left alone for longer than a tick of its clock, so that a change changes its stamp."""
    return time.time_ns() - max(stamp[1:]) > COARSE


def _digest(path: Path) -> str:
    """Compute the digest of a file's content; a file that is not there is reported when a case is read."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
    except OSError:
        return ABSENT
    return found.hexdigest()[:16]


def _recall(memory: Path) -> dict[str, tuple[Stamp, str]]:
    """Return stamp and digest of files by their paths; a memory that is damaged costs a reading, not an error."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        lines = json.loads(memory.read_text(encoding="utf-8"))
        return {path: ((int(size), int(mtime), int(ctime)), str(d)) for path, (size, mtime, ctime, d) in lines.items()}
    return {}
