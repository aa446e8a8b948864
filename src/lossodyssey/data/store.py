"""Arrays that were computed once, in files that are mapped into memory.

An entry is a folder named after everything that its arrays follow from. A process that finds it broken or incomplete
makes it again; two processes that make one at the same time write equal files, and each file is whole or absent.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossodyssey.atomic import DRAFT, write_text, writing

LIST = "entry.json"
CHUNK = 1 << 20
FORMAT = 1  # counts up where the arrays of an entry come to mean something else
ABANDONED = 3600.0  # seconds after which a draft belongs to a process that was killed

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Store:
    """Entries in `folder`; `digests` gives those of the files of the data, by their resolved paths."""

    folder: Path
    digests: Callable[[], Mapping[str, str]]

    def key(self, files: Sequence[Path], *facts: Any) -> str:
        """Return the name of the entry that follows from the contents of files and from `facts`."""
        digests = self.digests()
        contents = [digests[str(path.resolve())] for path in files]
        return hashlib.sha256(json.dumps([FORMAT, _versions(), contents, facts]).encode()).hexdigest()[:32]

    def find(self, key: str, make: Callable[[], Arrays]) -> dict[str, Tensor]:
        """Return the arrays of an entry, mapped into memory; `make` computes them where they are not there yet.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
        """
        folder = self.folder / key[:2] / key
        if not _is_whole(folder):
            _write(folder, make())
        return {name: _mapped(folder / f"{name}.npy") for name in _listed(folder)}


@cache
def _versions() -> list[str]:
    """Return the versions of the packages whose arithmetic the arrays are."""
    return [version(package) for package in ("torch", "numpy", "scipy")]


def _listed(folder: Path) -> dict[str, int]:
    """Return the checksum of each file of an entry; nothing where the list is absent or broken."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        listed = json.loads((folder / LIST).read_text(encoding="utf-8"))
        return {str(name): int(sum_) for name, sum_ in listed.items() if Path(name).name == name}
    return {}


def _is_whole(folder: Path) -> bool:
    listed = _listed(folder)
    return bool(listed) and all(_sum(folder / f"{name}.npy") == expected for name, expected in listed.items())


def _sum(path: Path) -> int:
    """Compute the checksum of a file, -1 where it cannot be read; the file is read, never mapped."""
    found = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found = zlib.crc32(chunk, found)
    except OSError:
        return -1
    return found


def _write(folder: Path, arrays: Arrays) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    sums = {}
    for name, array in arrays.items():
        with writing(folder / f"{name}.npy") as draft:
            with draft.open("wb") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            sums[name] = _sum(draft)
    # Last of all: an entry without its list is not there.
    write_text(folder / LIST, json.dumps(sums) + "\n")


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob(".*"):
        with suppress(OSError):
            if DRAFT.match(path.name) and time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def _mapped(path: Path) -> Tensor:
    """Return the array of an `.npy` file as a tensor of its own pages, which are never written back."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        begin, size = file.tell(), path.stat().st_size
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    if begin == size:
        return torch.empty(shape, dtype=kind)
    # NumPy keeps a file descriptor for each mapping, and a process has a thousand of them.
    pages = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    return pages[begin:].view(kind).reshape(shape)


def entries(folder: Path) -> list[Path]:
    """List the whole entries in the folder of a store."""
    return sorted(path.parent for path in folder.glob(f"*/*/{LIST}"))


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
