"""The sources of a data set: folders and archives, seen as one tree of files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossodyssey.data.prepare.archives import CHUNK, is_archive, is_junk, unpack

Progress = Callable[[str, int, int], None]
"""Called with the phase, what is done of it and what there is to do."""

TOPMOST = 12  # names that a message lists


@dataclass(frozen=True)
class Match:
    """A file that fits a pattern: its path here, its path in the source, and the capture groups of the pattern."""

    path: Path
    where: str
    match: re.Match[str]

    def __getitem__(self, bracket: int | str) -> str:
        return self.match[bracket] or ""


@dataclass(frozen=True)
class Tree:
    """Files by their path in the sources, with the checksums of the archives they come from.

    `unpacked` is the folder of the files that may be moved away, as no one else uses them. `left` are the paths in
    archives that were not asked for.
    """

    files: dict[str, Path]
    unpacked: Path
    archives: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    def find(self, pattern: str) -> list[Match]:
        """Return the files whose path, or its end after a folder, is `pattern`, in the order of their paths.

        The numbers in paths are compared as numbers: case 2 comes before case 10. Capitals do not count.
        """
        whole = re.compile(rf"(?:^|.*/)(?:{pattern})$", re.IGNORECASE)
        found = ((where, whole.match(where)) for where in sorted(self.files, key=in_order))
        return [Match(self.files[where], where, match) for where, match in found if match]

    def index(self, pattern: str) -> dict[str, Match]:
        """Return the files that fit a pattern by its first capture group.

        Raises:
            ValueError: two files have the same.
        """
        found: dict[str, Match] = {}
        for match in self.find(pattern):
            other = found.setdefault(match[1], match)
            if other is not match:
                raise ValueError(
                    f"{other.where} is in the sources twice, also as {match.where}; give each archive once"
                )
        return found

    def paths(self, pattern: str) -> dict[str, Path]:
        """Return the paths of the files that `index` returns."""
        return {key: match.path for key, match in self.index(pattern).items()}

    def count(self, pattern: str) -> int:
        """Return how many paths fit a pattern, those that were left in archives among them."""
        wanted = wanted_by([pattern])
        return sum(map(wanted, {*self.files, *self.left}))

    def top(self) -> str:
        """Return the first names in the sources, for messages."""
        names = sorted({"/".join(where.split("/")[:3]) for where in {*self.files, *self.left}}, key=in_order)
        more = f" and {len(names) - TOPMOST} more" if len(names) > TOPMOST else ""
        return ", ".join(names[:TOPMOST]) + more if names else "no file at all"

    def is_unpacked(self, path: Path) -> bool:
        """Return whether a file was unpacked here, so that it may be moved."""
        return self.unpacked in path.parents


def in_order(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts the numbers in names as numbers."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts)]


def wanted_by(needs: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that says whether a path, or its end after a folder, is one of the patterns `needs`."""
    patterns = [re.compile(rf"(?:^|.*/)(?:{need})$", re.IGNORECASE) for need in needs]
    return lambda name: any(pattern.match(name) for pattern in patterns)


def open_sources(sources: Sequence[Path], scratch: Path, needs: Sequence[str], progress: Progress) -> Tree:
    """Read folders and archives as one tree; what is needed of the archives is unpacked into `scratch`.

    A source, or an archive in it, may hold archives in turn; those are opened too, but not archives in these.

    Args:
        sources: folders, archives, or both.
        scratch: a folder for what is unpacked; the caller removes it.
        needs: patterns of the paths that are needed, as for `Tree.find`.
        progress: told of the bytes that are unpacked.

    Raises:
        FileNotFoundError: a source does not exist.
        ValueError: a source is neither a folder nor an archive, or the archive is refused (see `unpack`).
    """
    tree = Tree({}, scratch)
    for source in sources:
        prefix = _prefix(source, tree)
        if source.is_dir():
            _add_folder(tree, source, prefix, needs, progress)
        elif source.is_file() and is_archive(source):
            _add_archive(tree, source, prefix, needs, progress, nested=True)
        elif source.exists():
            raise ValueError(f"{source}: neither a folder nor an archive (.zip, .tar, .tar.gz, .tgz, .gz)")
        else:
            raise FileNotFoundError(f"{source}: no such file or folder; give the archive as downloaded, or its folder")
    return tree


def _prefix(source: Path, tree: Tree) -> str:
    """Return a first name for the paths of a source that no other source has."""
    name = source.resolve().name or "source"
    taken = {where.split("/")[0] for where in tree.files}
    return next(each for each in (name, *(f"{name} {number}" for number in range(2, 1000))) if each not in taken)


def _add_folder(tree: Tree, folder: Path, prefix: str, needs: Sequence[str], progress: Progress) -> None:
    wanted = wanted_by(needs)
    for path, where in _walk(folder):
        if is_archive(path) and not wanted(where):
            _add_archive(tree, path, f"{prefix}/{where}", needs, progress, nested=True)
        else:
            tree.files[f"{prefix}/{where}"] = path


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield all files of a folder but junk; links to folders are followed, each folder once."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        # A link to a folder above would never end.
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        folders.sort()
        for name in sorted(names):
            where = (here / name).relative_to(folder).as_posix()
            if not is_junk(where) and (here / name).is_file():
                yield here / name, where


def _add_archive(
    tree: Tree, archive: Path, prefix: str, needs: Sequence[str], progress: Progress, *, nested: bool
) -> None:
    """Unpack what is needed of an archive, and the archives in it."""
    wanted = wanted_by(needs)
    target = tree.unpacked / f"{len(list(tree.unpacked.glob('*'))) if tree.unpacked.is_dir() else 0:03d}"

    def needed(name: str) -> bool:
        return wanted(name) or (nested and is_archive(Path(name)))

    names = unpack(archive, target, needed, step=lambda done, total: progress(f"unpacking {archive.name}", done, total))
    tree.left.update(f"{prefix}/{name}" for name in names if not needed(name))
    for path, where in list(_walk(target)):
        if is_archive(path) and not wanted(where):
            _add_archive(tree, path, f"{prefix}/{where}", needs, progress, nested=False)
            path.unlink()
        else:
            tree.files[f"{prefix}/{where}"] = path
    # Other archives that lie in the same folder are not read once more for their checksum.
    if any(target in path.parents for path in tree.files.values()):
        tree.archives[prefix] = file_digest(
            archive, lambda done, total: progress(f"checksum of {archive.name}", done, total)
        )


def file_digest(path: Path, step: Callable[[int, int], None] | None = None) -> str:
    """Compute the SHA-256 checksum of a file."""
    found, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            done += len(chunk)
            if step is not None:
                step(done, total)
    return found.hexdigest()
