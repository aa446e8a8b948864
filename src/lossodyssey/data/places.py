"""Where data sets live on this machine."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lossodyssey.data.catalogue import BY_NAME, canonical, nearest
from lossodyssey.data.layouts import Dataset, read_dataset
from lossodyssey.data.lesion_phantom import write_lesion_phantom
from lossodyssey.data.phantom import write_phantom
from lossodyssey.data.vessel_phantom import write_vessel_phantom

VARIABLE = "LOSSODYSSEY_DATA"
MAKING = ".making-"
MADE = {"phantom": write_phantom, "phantom_vessels": write_vessel_phantom, "phantom_lesions": write_lesion_phantom}
"""The data sets that are made on first use."""


def find_dataset(name_or_path: str | Path, data: str | Path | None = None) -> Dataset:
    """Read a data set given by its name in one of `data_folders(data)`, or by the path of its folder.

    Sets of `MADE` are generated when they are in none of them. Names win over paths: write `./name` for a folder.

    Raises:
        ValueError: there is no such set; the text has the nearest known names and the way to fetch it.
    """
    return read_dataset(find_folder(name_or_path, data))


def find_folder(name_or_path: str | Path, data: str | Path | None = None) -> Path:
    """Return the folder of a data set, as `find_dataset` finds it; nothing in it is read.

    Raises:
        ValueError: there is no such set; the text has the nearest known names and the way to fetch it.
    """
    name = str(name_or_path)
    folder = local_folder(name, data)
    if folder is None and name in MADE:
        folder = write_folder(name, data)
        with making(folder) as draft:
            MADE[name](draft)
    if folder is None and Path(name).is_dir():
        folder = Path(name)
    if folder is None:
        raise ValueError(_absent(name, data))
    return folder


def data_folders(data: str | Path | None = None) -> list[Path]:
    """List the folders searched for data sets: `data`, else the variable LOSSODYSSEY_DATA; then the user's cache."""
    chosen, cache, former = data or os.environ.get(VARIABLE), cache_folder(), _former_cache()
    caches = [cache, former if former != cache and former and former.is_dir() else None]
    return [*([_expanded(Path(chosen))] if chosen else []), *(folder for folder in caches if folder)]


def _expanded(path: Path) -> Path:
    """Return the path with the home folder in place of ~.

    Raises:
        ValueError: there is no such home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError as problem:
        raise ValueError(f"data folder is {str(path)!r}, but {problem}; give its whole path") from None


def cache_folder() -> Path | None:
    """Return the user's cache folder for data sets, where the operating system keeps such folders; None without one.

    A machine may have a user without a home folder: data sets in other folders are found there all the same.
    """
    from platformdirs import user_cache_path

    try:
        return user_cache_path("lossodyssey", appauthor=False, opinion=False).expanduser()
    except RuntimeError:
        return None


def _former_cache() -> Path | None:
    """Return the cache folder of versions that found it by a rule of their own; data sets in it are still found."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser() / "lossodyssey"
    except RuntimeError:
        return None


def prepared_folder(fallback: Path) -> Path:
    """Return the folder of prepared cases: in the user's cache where it can be written, else `fallback`."""
    cache = cache_folder()
    return cache / "prepared" if cache is not None and _writable(cache) else fallback


def local_folder(name: str, data: str | Path | None = None) -> Path | None:
    """Find the folder of the data set called `name`, or by any name of a known set; None when it is not here."""
    # A path is not a name: joined to a folder, /data/set would replace it and ../set would leave it.
    if Path(name).name != name:
        return None
    # The name as it is given comes first: a folder of the user's own may have the other name of a known set.
    names = dict.fromkeys((name, canonical(name)))
    candidates = (folder / each for each in names for folder in data_folders(data))
    return next((folder for folder in candidates if (folder / "dataset.json").is_file()), None)


def write_folder(name: str, data: str | Path | None = None) -> Path:
    """Choose the folder of a new data set called `name`, in the first of `data_folders(data)` that can be written.

    Raises:
        ValueError: this user has no folder for data sets.
    """
    folders = data_folders(data)
    if not folders:
        raise ValueError(f"there is no home folder to write {name} to; set {VARIABLE} to a folder for data sets")
    return next((folder for folder in folders if _writable(folder)), folders[-1]) / name


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Yield a path to build a folder at; it becomes `folder` on success and vanishes on failure.

    So do the folders above it that were not there. When another process has made `folder` meanwhile, that one stays.
    """
    above = [each for each in folder.parents if not each.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=MAKING) as scratch:
            draft = Path(scratch) / folder.name
            yield draft
            try:
                draft.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    except BaseException:
        with suppress(OSError):  # another process may have begun to use them
            for each in above:
                each.rmdir()
        raise


def drafts(folder: Path) -> list[Path]:
    """List the folders in which data sets are being made in `folder`, or were when their process was killed."""
    return sorted(folder.glob(f"{MAKING}*"))


def _writable(folder: Path) -> bool:
    if not folder.exists():
        return folder != folder.parent and _writable(folder.parent)
    # The mode is asked too, because the superuser may write where the owner has said not to.
    return folder.is_dir() and os.access(folder, os.W_OK) and bool(folder.stat().st_mode & stat.S_IWUSR)


def _absent(name: str, data: str | Path | None) -> str:
    places = ", ".join(str(folder) for folder in data_folders(data))
    entry = BY_NAME.get(canonical(name))
    if entry is None:
        # A list of all names does not help where a path is wrong.
        hint = "give the path of its folder" if len(Path(name).parts) > 1 else nearest(name, BY_NAME)
        return f"no data set {name!r} in {places}, nor a folder of that path; {hint}"
    return f"data set {name!r} is not in {places}; {entry.way}"
