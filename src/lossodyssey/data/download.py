"""Fetching public data sets: download, checksum, unpack, all or nothing."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from lossodyssey.data.catalogue import BY_NAME, Entry, nearest
from lossodyssey.data.layouts import read_dataset
from lossodyssey.data.places import local_folder, making, write_folder
from lossodyssey.data.prepare.archives import unpack

Progress = Callable[[int, int], None]
CHUNK = 1 << 20


def fetch(name: str, data: str | Path | None = None, progress: Progress | None = None, timeout: float = 30) -> Path:
    """Download the data set called `name` unless it is here, and give its folder.

    `progress(done, total)` is called with bytes (total 0 when the server does not tell); `timeout` in seconds is the
    longest silence of the server. Nothing is left behind when it fails.

    Raises:
        ValueError: the set is unknown, or the archive is not the expected one.
        ConnectionError: the download fails.
    """
    entry = _downloadable(name)
    here = local_folder(name, data)
    if here is not None:
        return here

    folder = write_folder(name, data)
    with making(folder) as draft:
        archive = draft.parent / "archive.tar"
        try:
            checksum = _download(entry.archive, archive, progress or _silent, timeout)
        except (OSError, HTTPException) as error:
            raise ConnectionError(_by_hand(entry, folder, error)) from None
        # Checked before it is unpacked, and read before it gets its name: a folder of that name is always whole.
        _check(entry, checksum)
        _unpack(archive, draft)
        read_dataset(draft)
    return folder


def _downloadable(name: str) -> Entry:
    archives = [entry.name for entry in BY_NAME.values() if entry.archive]
    if name in archives:
        return BY_NAME[name]
    if name in BY_NAME:
        source = BY_NAME[name].source
        how = f"get it from {source} and lay it out as MSD" if source else "it is generated on first use"
        raise ValueError(f"data set {name!r} cannot be downloaded: {how}")
    raise ValueError(f"no known data set {name!r}; {nearest(name, archives)}")


def _silent(done: int, total: int) -> None:
    pass


def _download(url: str, path: Path, progress: Progress, timeout: float) -> str:
    # MD5 is the checksum that the mirror publishes; it guards against broken downloads, not against attackers.
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=timeout) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            progress(file.tell(), total)
    return digest.hexdigest()


def _by_hand(entry: Entry, folder: Path, error: Exception) -> str:
    return (
        f"{entry.archive}: download failed ({getattr(error, 'reason', error)}); try again, "
        f"or unpack it by hand so that {folder / 'dataset.json'} exists"
    )


def _check(entry: Entry, checksum: str) -> None:
    if checksum != entry.md5:
        raise ValueError(
            f"{entry.archive}: MD5 checksum {checksum}, expected {entry.md5}; the download is incomplete or the file "
            "has changed, try again"
        )


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the members of `folder.name/` beside the archive; refuse any member that would lie elsewhere."""
    unpack(archive, folder.parent, below=folder.name)
