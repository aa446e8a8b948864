"""Compiling the C code, and loading it only where it is whole.

A library lies in the user's cache folder under `KEY.DIGEST.so`: KEY stands for the sources, the command and the
processor, DIGEST for the content of the file. A file that does not fit its own name is damaged, and made anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import torch

from lossodyssey.atomic import writing

FLAGS = ("-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
MORE_FLAGS = "LOSSODYSSEY_CFLAGS"
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
}
SECONDS = 120


class Unavailable(Exception):
    """Why there is no library, with a remedy for the user."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


class NoCompiler(Unavailable):
    """There is none where compilers usually are, and the user named none."""


class Broken(Unavailable):
    """The compiler or its library failed; other options may work."""


def build(options: tuple[str, ...]) -> tuple[ctypes.CDLL, Path]:
    """Return the library made with these options, and its file; it is compiled unless a whole one is in the cache.

    Raises:
        Unavailable: no compiler, no folder to keep the library in, or no library that can be loaded.
    """
    command, folder = [*compiler(), *FLAGS, *options, *instructions(), *_words(MORE_FLAGS)], cache_folder()
    key = _key(command)
    for path in sorted(folder.glob(f"{key}.*.so")):
        # Loading a file that was cut short ends the process, so the digest is asked first.
        if _is_whole(path):
            with suppress(Broken):  # made on another machine that shares the folder
                return load(path), path
    path = _publish(_compile(command), folder, key)
    return load(path), path


def compiler() -> list[str]:
    """Return the compiler's path and the arguments that the variable CC gives it.

    Raises:
        Unavailable: CC cannot be read or names no program; NoCompiler where it is not set and none is found.
    """
    if os.name == "nt":
        raise NoCompiler("the C code is for Linux and macOS", "under WSL it is compiled")
    chosen = _words("CC")
    names = chosen[:1] or ["cc", "gcc", "clang"]
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None and chosen:
        raise Unavailable(f"no C compiler among {names[0]}, which CC names", "set CC to a C compiler, or unset it")
    if found is None:
        raise NoCompiler(f"no C compiler among {', '.join(names)}", "install gcc or clang, or set CC to a C compiler")
    return [found, *chosen[1:]]


def instructions() -> tuple[str, ...]:
    """Return the compiler's flags for the instruction set that PyTorch uses on this processor."""
    return INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())


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


def load(path: Path) -> ctypes.CDLL:
    """Load the library at `path`.

    Raises:
        Broken: it cannot be loaded, or lacks a function of the sources.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as problem:
        remedy = "set XDG_CACHE_HOME to a folder on a disk that programs may run from, or CC to another compiler"
        raise Broken(f"{path} cannot be loaded: {problem}", remedy) from None
    text = "\n".join(source.read_text(encoding="utf-8") for source in _sources("*.c"))
    absent = [name for name in re.findall(r"^void (lo_\w+)\(", text, re.MULTILINE) if not hasattr(library, name)]
    if absent:
        raise Broken(f"{path} lacks {', '.join(absent)}", f"correct or unset CC and {MORE_FLAGS}")
    return library


def _words(variable: str) -> list[str]:
    text = os.environ.get(variable, "")
    try:
        return shlex.split(text)
    except ValueError as problem:
        raise Unavailable(f"{variable} is {text!r}: {problem}", f"correct or unset {variable}") from None


def _sources(pattern: str) -> list[Path]:
    return sorted(Path(__file__).parent.glob(pattern))


def _key(command: list[str]) -> str:
    key = hashlib.sha256(os.fsencode(" ".join([*command, platform.machine()])))
    for source in [*_sources("*.c"), *_sources("*.h")]:
        key.update(source.read_bytes())
    return key.hexdigest()[:24]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _is_whole(path: Path) -> bool:
    try:
        return path.name.split(".")[1] == _digest(path.read_bytes())
    except OSError:
        return False


def _compile(command: list[str]) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "library.so"
            call = [*command, "-o", str(made), *map(str, _sources("*.c")), "-lm"]
            subprocess.run(call, check=True, capture_output=True, timeout=SECONDS)
            if not made.is_file():
                raise OSError("it wrote no library")
            return made.read_bytes()
    except (OSError, subprocess.SubprocessError) as problem:
        failed = f"{shlex.join(command)} failed: {_told_by(problem)}"
        raise Broken(failed, f"set CC to a C compiler that works, or correct {MORE_FLAGS}") from None


def _told_by(problem: Exception) -> str:
    """Return the line of the compiler's words that names the error; else Python's own."""
    if isinstance(problem, subprocess.TimeoutExpired):
        return f"not done after {SECONDS} s"
    if isinstance(problem, subprocess.CalledProcessError):
        lines: list[str] = problem.stderr.decode(errors="replace").splitlines() or [f"exit code {problem.returncode}"]
        return next((line for line in lines if "error" in line), lines[-1])
    return str(problem)


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
