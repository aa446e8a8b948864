"""Archives as they are downloaded: looked through whole before a byte is written, and unpacked only where needed."""

from __future__ import annotations

import errno
import gzip
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lossodyssey.data.sizes import DENSEST

Wanted = Callable[[str], bool]
Step = Callable[[int, int], None]
Reader = Callable[["Member"], Any]

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".gz")
ELSEWHERE = re.compile(r"^[A-Za-z]:|[\\\x00]")  # a drive of Windows, its separator, the end of a path in C
MOST_MEMBERS = 1_000_000
CHUNK = 1 << 20
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Member:
    """An entry of an archive; `fault` says why it must not be unpacked."""

    name: str
    size: int
    folder: bool
    fault: str
    raw: Any


def is_archive(path: Path) -> bool:
    """Return whether the name is that of an archive, and not of a compressed image."""
    name = path.name.lower()
    return name.endswith(ENDINGS) and not name.endswith(".nii.gz")


def is_junk(name: str) -> bool:
    """Return whether a path is one that an operating system left behind: its files would be read as images."""
    parts = PurePosixPath(name).parts
    return any(part.startswith("._") or part in ("__MACOSX", ".DS_Store", "Thumbs.db") for part in parts)


def unpack(
    archive: Path, folder: Path, wanted: Wanted | None = None, below: str = "", step: Step | None = None
) -> list[str]:
    """Unpack the members of an archive whose path is `wanted` into a folder; all of them are looked at first.

    Args:
        archive: a zip or tar file, or a single file compressed by gzip.
        folder: the folder to write to, which is made where it is missing.
        wanted: says of a member's path whether it is needed; all are where it is not given.
        below: the folder that all members must lie in; any where it is empty.
        step: called with the bytes written and those to write.

    Returns:
        The paths of all files in the archive, wanted or not.

    Raises:
        ValueError: a member would leave the folder, is a link or a device, is encrypted, shares its name with another
            except for capitals, or is larger than its archive can hold; or the archive is damaged. Nothing was written
            unless the damage lies after the list of members.
        OSError: the disk has too little room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _opened(archive) as (members, read):
            _check(archive, members, below)
            chosen = [m for m in members if not m.folder and (wanted is None or wanted(m.name))]
            total = sum(member.size for member in chosen)
            _check_room(archive, total, folder)
            done = 0
            for member in chosen:
                done += _write(archive, member, read(member), folder / member.name)
                if step is not None:
                    step(done, max(total, done))
            return [member.name for member in members if not member.folder]
    except BROKEN as error:
        kind = "zip" if archive.suffix.lower() == ".zip" else "gzip" if _is_single(archive) else "tar"
        raise ValueError(f"{archive.name}: not a whole {kind} archive ({error}); download it again") from None


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[list[Member], Reader]]:
    """Open an archive; yield its members, without junk, and a function that opens one of them."""
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as file:
            yield [_zipped(info) for info in file.infolist() if not is_junk(info.filename)], lambda m: file.open(m.raw)
    elif _is_single(archive):
        # The length that gzip keeps is that of the last 4 GB only, so the size is told by the unpacking.
        with gzip.open(archive) as single:
            yield [Member(archive.name[:-3], 0, False, "", None)], lambda _: single
    else:
        with tarfile.open(archive) as tar:
            yield [_tarred(info) for info in tar if not is_junk(info.name)], lambda m: tar.extractfile(m.raw)


def _is_single(archive: Path) -> bool:
    return archive.name.lower().endswith(".gz") and not archive.name.lower().endswith(".tar.gz")


def _zipped(info: zipfile.ZipInfo) -> Member:
    kind = info.external_attr >> 28
    fault = "is encrypted: unpack it by hand with its password, then give the folder" if info.flag_bits & 1 else ""
    # The upper half of the attributes is the mode of a file on Unix; its first digit is the kind, 0 where unset.
    if kind not in (0, 4, 8):
        fault = "is a link or a device"
    if info.file_size > max(info.compress_size, 1) * DENSEST:
        fault = f"claims {info.file_size:,} bytes, of which {info.compress_size:,} are in the archive"
    return Member(info.filename, info.file_size, info.is_dir(), fault, info)


def _tarred(info: tarfile.TarInfo) -> Member:
    fault = "" if info.isfile() or info.isdir() else "is a link or a device"
    return Member(info.name, info.size, info.isdir(), fault, info)


def _check(archive: Path, members: Sequence[Member], below: str) -> None:
    """Check every member of an archive, needed or not: an archive with one bad member is not trusted."""
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"{archive.name}: holds {len(members):,} members; up to {MOST_MEMBERS:,} are unpacked")
    seen: dict[str, str] = {}
    for member in members:
        _check_path(archive, member, below)
        if member.folder:
            continue
        # Where capitals do not count, the second would silently take the place of the first.
        key = str(PurePosixPath(member.name)).casefold()
        if key in seen:
            raise ValueError(
                f"{archive.name}: members {seen[key]!r} and {member.name!r} have one name but for capitals; unpack it "
                "by hand, rename one of them, then give the folder"
            )
        seen[key] = member.name
    _check_sizes(archive, members)


def _check_path(archive: Path, member: Member, below: str) -> None:
    path = PurePosixPath(member.name)
    outside = path.is_absolute() or ".." in path.parts or ELSEWHERE.search(member.name)
    where = f"below {below}/" if below else "inside the archive"
    if outside or (below and path.parts[:1] != (below,)) or member.fault.startswith("is a "):
        raise ValueError(f"{archive.name}: member {member.name!r} is not a plain file {where}; not unpacked")
    if member.fault:
        raise ValueError(f"{archive.name}: member {member.name!r} {member.fault}; not unpacked")


def _check_sizes(archive: Path, members: Sequence[Member]) -> None:
    """Check the sum of the sizes: members of a bomb may share their bytes, so that each of them alone is possible."""
    total, room = sum(member.size for member in members), archive.stat().st_size * DENSEST
    if total > room:
        raise ValueError(
            f"{archive.name}: its members claim {total:,} bytes, but a file of {archive.stat().st_size:,} bytes holds "
            f"at most {room:,}; not unpacked"
        )


def _check_room(archive: Path, total: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if total > free:
        raise OSError(
            errno.ENOSPC,
            f"{archive.name}: unpacks to {total:,} bytes, but {folder.parent} has {free:,} left; free some, or write "
            "to another disk with -o",
        )


def _write(archive: Path, member: Member, stream: Any, target: Path) -> int:
    """Write a member; stop where it holds more than it claims, or a file without a claim more than is possible."""
    limit = member.size if member.raw is not None else archive.stat().st_size * DENSEST
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with stream, target.open("xb") as file:
        while chunk := stream.read(CHUNK):
            done += len(chunk)
            if done > limit:
                raise ValueError(
                    f"{archive.name}: member {member.name!r} holds more than {limit:,} bytes; not unpacked"
                )
            file.write(chunk)
    if member.raw is not None and done < member.size:
        raise EOFError(f"member {member.name!r} ends after {done:,} of {member.size:,} bytes")
    return done
