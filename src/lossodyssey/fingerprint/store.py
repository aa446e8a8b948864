"""Fingerprints kept in files, and made again only where the data have changed."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from lossodyssey.atomic import write_text
from lossodyssey.data import Dataset
from lossodyssey.data.contents import read_contents
from lossodyssey.fingerprint.record import VERSION, Fingerprint, parse
from lossodyssey.fingerprint.whole import Progress, fingerprint

MEMORY = "data.json"


def key(dataset: Dataset, digest: str) -> str:
    """Return a text that changes with the contents of the files, and with what `dataset.json` says of them."""
    groups = [(case.name, case.group) for case in dataset.cases]
    facts = [VERSION, dataset.name, digest, dataset.classes, dataset.channels, dataset.rules, groups]
    return sha256(repr(facts).encode()).hexdigest()[:16]


def write(dataset: Dataset, file: Path, digest: str, progress: Progress | None = None) -> Fingerprint:
    """Return the fingerprint in `file` if it is that of these contents, else make it and write it there.

    Raises:
        ValueError: a case cannot be read.
    """
    wanted = key(dataset, digest)
    # A file that is absent, damaged or of another version is made again.
    with suppress(OSError, ValueError):
        found = parse(file.read_text(encoding="utf-8"), file)
        if found.contents == wanted:
            return found
    made = fingerprint(dataset, wanted, progress)
    write_text(file, made.text())
    return made


def stored(dataset: Dataset, folder: Path, progress: Progress | None = None) -> Fingerprint:
    """Return the fingerprint of a data set, kept in `folder` beside what is known of its files.

    Raises:
        ValueError: a case cannot be read.
    """
    contents = read_contents(dataset, folder / MEMORY)
    found = write(dataset, folder / f"{dataset.name}-{_place(dataset)}.json", contents.digest, progress)
    contents.remember(folder / MEMORY)
    return found


def _place(dataset: Dataset) -> str:
    """Return the mark of a data set's folder, by which data sets of one name are told apart."""
    return sha256(str(dataset.root.resolve()).encode()).hexdigest()[:8]
