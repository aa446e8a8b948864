"""Compiling the C code, with nothing but Python: the build of a wheel loads this file before anything is installed.

A library holds each function once for every variant of `variants`, under the function's name and the variant's.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

FLAGS = ("-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-Wno-psabi")
MORE_FLAGS = "LOSSODYSSEY_CFLAGS"
BASELINE = "baseline"
INSTRUCTIONS = {
    BASELINE: (),
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"),
}
"""The flags of each variant, from the least to the best; PyTorch calls these sets of instructions by the same names."""
EXPORTED = re.compile(r"^(void|int) (lo_\w+)\(([^)]*)\)", re.MULTILINE)
SECONDS = 120


class Unavailable(Exception):
    """Why there is no library, with a remedy for the user."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


class NoCompiler(Unavailable):
    """There is none where compilers usually are, and the user named none."""


class Broken(Unavailable):
    """The compiler or its library failed; another library may work."""


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


def variants() -> list[str]:
    """Return the sets of instructions that a library for this kind of machine holds, from the least to the best."""
    return list(INSTRUCTIONS) if platform.machine() in ("x86_64", "AMD64") else [BASELINE]


def sources(pattern: str = "*.c") -> list[Path]:
    """Return the files of the C code in a fixed order."""
    return sorted(Path(__file__).parent.glob(pattern))


def exported() -> dict[str, tuple[str, str]]:
    """Return the functions that Python may call: their type and their parameters, as the C code declares them."""
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources())
    return {name: (result, parameters) for result, name, parameters in EXPORTED.findall(text)}


def command() -> list[str]:
    """Return the compiler with the flags that all variants share.

    Raises:
        Unavailable: as `compiler`, or LOSSODYSSEY_CFLAGS cannot be read.
    """
    return [*compiler(), *FLAGS, *_words(MORE_FLAGS)]


def compiled(names: Sequence[str]) -> bytes:
    """Return a library of these variants.

    Raises:
        Unavailable: as `command`; Broken where the compiler fails.
    """
    shared = command()
    try:
        with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
            made = Path(scratch, "library.so")
            jobs = product(names, sources())
            objects = list(pool.map(lambda job: _compile(shared, job[0], job[1], Path(scratch)), jobs))
            _run([*shared, "-shared", "-o", str(made), *objects, "-lm"])
            if not made.is_file():
                raise OSError("it wrote no library")
            return made.read_bytes()
    except (OSError, subprocess.SubprocessError) as problem:
        failed = f"{shlex.join(shared)} failed: {_told_by(problem)}"
        raise Broken(failed, f"set CC to a C compiler that works, or correct {MORE_FLAGS}") from None


def _compile(shared: Sequence[str], variant: str, source: Path, folder: Path) -> str:
    """Compile a source for a variant, whose name every exported function takes on; return the file of the result."""
    made = str(folder / f"{source.stem}_{variant}.o")
    names = [f"-D{name}={name}_{variant}" for name in exported()]
    _run([*shared, *INSTRUCTIONS[variant], *names, "-c", str(source), "-o", made])
    return made


def _run(call: Sequence[str]) -> None:
    subprocess.run(call, check=True, capture_output=True, timeout=SECONDS)


def _words(variable: str) -> list[str]:
    text = os.environ.get(variable, "")
    try:
        return shlex.split(text)
    except ValueError as problem:
        raise Unavailable(f"{variable} is {text!r}: {problem}", f"correct or unset {variable}") from None


def _told_by(problem: Exception) -> str:
    """Return the line of the compiler's words that names the error; else Python's own."""
    if isinstance(problem, subprocess.TimeoutExpired):
        return f"not done after {SECONDS} s"
    if isinstance(problem, subprocess.CalledProcessError):
        lines: list[str] = problem.stderr.decode(errors="replace").splitlines() or [f"exit code {problem.returncode}"]
        return next((line for line in lines if "error" in line), lines[-1])
    return str(problem)
