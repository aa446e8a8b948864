"""Fetching public data sets: download, checksum, unpack, all or nothing."""

from __future__ import annotations

from pathlib import Path

from lossodyssey.data.catalogue import BY_NAME, Entry, nearest
from lossodyssey.data.layouts import read_dataset
from lossodyssey.data.places import local_folder, making, write_folder
from lossodyssey.data.prepare.archives import unpack
from lossodyssey.data.resuming import Progress, retrieve


def fetch(name: str, data: str | Path | None = None, progress: Progress | None = None, timeout: float = 30) -> Path:
    """Download the data set called `name` unless it is here, and give its folder.

    `progress(done, total)` is called with bytes (total 0 when the server does not tell); `timeout` in seconds is the
    longest silence of the server. A download that was interrupted goes on where it ended; its part is kept beside the
    data sets until then, and nothing else is left behind.

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
        try:
            archive = retrieve(entry, folder.parent, draft.parent, progress or _silent, timeout)
        except OSError as error:
            raise ConnectionError(_by_hand(entry, folder, error)) from None
        # Read before it gets its name: a folder of that name is always whole.
        _unpack(archive, draft)
        read_dataset(draft)
    return folder


def _downloadable(name: str) -> Entry:
    archives = [entry.name for entry in BY_NAME.values() if entry.archive]
    if name in archives:
        return BY_NAME[name]
    if name in BY_NAME:
        raise ValueError(f"data set {name!r} cannot be downloaded: {BY_NAME[name].way}")
    raise ValueError(f"no known data set {name!r}; {nearest(name, archives)}")


def _silent(done: int, total: int) -> None:
    pass


def _by_hand(entry: Entry, folder: Path, error: Exception) -> str:
    return (
        f"{entry.archive}: download failed ({_reason(error)}); try again, which goes on where this one ended, "
        f"or unpack it by hand so that {folder / 'dataset.json'} exists"
    )


def _reason(error: Exception) -> str:
    # The libraries wrap the refusal of a connection three times.
    return " ".join(str(getattr(error.args[0], "reason", error) if error.args else error).split())


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the members of `folder.name/` beside the archive; refuse any member that would lie elsewhere."""
    unpack(archive, folder.parent, below=folder.name)
