"""The library of a wheel, or one compiled at first use and loaded only where it is whole.

A compiled library lies in the user's cache folder under `KEY.DIGEST.so`: KEY means the sources, the command and the
processor, DIGEST the content of the file. A file that does not fit its own name is damaged, and made again.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from lossodyssey.atomic import writing
from lossodyssey.native.compiler import (
    BASELINE,
    INSTRUCTIONS,
    MORE_FLAGS,
    Broken,
    Unavailable,
    command,
    compiled,
    exported,
    sources,
    variants,
)
from lossodyssey.native.signatures import Function

SHIPPED = Path(__file__).with_name("library.so")
"""The library that a built wheel brings along; a source or editable install has none."""
CHOICE = "LOSSODYSSEY_INSTRUCTIONS"


@dataclass(frozen=True, slots=True)
class Library:
    """A library with its file, and the functions of one of its variants by their names in the C code."""

    loaded: ctypes.CDLL
    path: Path
    instructions: str
    functions: Mapping[str, Function]


def find() -> Library:
    """Return the library of the wheel, else the one in the cache, compiled unless a whole one is there.

    The user's flags are for a build of their own: with them, the library of the wheel is not asked for.

    Raises:
        Unavailable: no library that can be loaded, and no compiler or no folder to make one; or a wrong choice of
            instructions.
    """
    chosen, problem = instructions(), ""
    if SHIPPED.is_file() and not os.environ.get(MORE_FLAGS):
        try:
            return load(SHIPPED, chosen)
        except Broken as refused:
            problem = f"; and {refused}"
            logging.getLogger(__name__).info("the library of the wheel is not used: %s", refused)
    try:
        return build(chosen)
    except Unavailable as missing:
        if not problem:
            raise
        raise Unavailable(f"{missing}{problem}", missing.remedy) from None


def build(chosen: str) -> Library:
    """Return the library of one variant from the cache, where it is compiled unless a whole one is there.

    Raises:
        Unavailable: no compiler, no folder to keep the library in, or no library that can be loaded.
    """
    key, folder = _key([*command(), chosen]), cache_folder()
    for path in sorted(folder.glob(f"{key}.*.so")):
        # Loading a file that was cut short ends the process, so the digest is asked first.
        if _is_whole(path):
            with suppress(Broken):  # made on another machine that shares the folder
                return load(path, chosen)
    path = _publish(compiled([chosen]), folder, key)
    return load(path, chosen)


def instructions() -> str:
    """Return the variant for this processor: the set of instructions that PyTorch uses, or the one the user chose.

    Raises:
        Unavailable: the variable LOSSODYSSEY_INSTRUCTIONS names none, or one that the processor lacks.
    """
    known = variants()
    best = torch.backends.cpu.get_cpu_capability()
    usable = known[: known.index(best) + 1] if best in known else [BASELINE]
    chosen = os.environ.get(CHOICE, "").strip() or usable[-1]
    if chosen not in usable:
        why = "which this processor or PyTorch on it lacks" if chosen in INSTRUCTIONS else "which is no such set"
        raise Unavailable(f"{CHOICE} is {chosen!r}, {why}", f"unset it, or choose among {', '.join(usable)}")
    return chosen


def cache_folder() -> Path:
    """Return a folder that only the user may write to, because its content is executed.

    Raises:
        Unavailable: there is no home, or the folder cannot be made or may be written to by others.
    """
    chosen = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    remedy = "set XDG_CACHE_HOME to a folder that you alone can write to"
    try:
        folder = Path(chosen).expanduser() / "lossodyssey" / "native"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = folder.stat()
    except (OSError, RuntimeError) as problem:
        raise Unavailable(f"no cache folder under {chosen}: {problem}", remedy) from None
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise Unavailable(f"{folder} belongs to another user or can be written to by others", f"remove it, or {remedy}")
    return folder


def load(path: Path, variant: str) -> Library:
    """Load the library at `path` with the functions of a variant.

    Raises:
        Broken: it cannot be loaded, or lacks a function of the sources.
    """
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as problem:
        remedy = "set XDG_CACHE_HOME to a folder on a disk that programs may run from, or CC to another compiler"
        raise Broken(f"{path} cannot be loaded: {problem}", remedy) from None
    declared = exported()
    absent = [name for name in declared if not hasattr(loaded, f"{name}_{variant}")]
    if absent:
        raise Broken(f"{path} lacks {', '.join(absent)} for {variant}", f"correct or unset CC and {MORE_FLAGS}")
    functions = {
        name: Function(name, getattr(loaded, f"{name}_{variant}"), *declaration)
        for name, declaration in declared.items()
    }
    return Library(loaded, path, variant, functions)


def _key(words: list[str]) -> str:
    key = hashlib.sha256(os.fsencode(" ".join([*words, platform.machine()])))
    for source in [*sources("*.c"), *sources("*.h")]:
        key.update(source.read_bytes())
    return key.hexdigest()[:24]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _is_whole(path: Path) -> bool:
    try:
        return path.name.split(".")[1] == _digest(path.read_bytes())
    except OSError:
        return False


def _publish(content: bytes, folder: Path, key: str) -> Path:
    """Write the library whole, and remove the damaged ones in whose place it comes."""
    path = folder / f"{key}.{_digest(content)}.so"
    try:
        with writing(path) as draft:
            draft.write_bytes(content)
    except OSError as problem:
        remedy = "set XDG_CACHE_HOME to a folder with room that you can write to"
        raise Unavailable(f"{path} cannot be written: {problem}", remedy) from None
    for other in folder.glob(f"{key}.*.so"):
        if other != path and not _is_whole(other):
            with suppress(OSError):
                other.unlink()
    return path
