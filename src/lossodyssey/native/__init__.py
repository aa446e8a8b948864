"""The C code of the package, compiled once where a C compiler is at hand; without one PyTorch does the same work.

The library lies in the user's cache folder under a name made of its source, compiler and instruction set.
`LOSSODYSSEY_NATIVE=0` switches it off. Its functions take arrays as pointers, every whole number as int64_t.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossodyssey.atomic import writing

FLAGS = ("-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
GRAIN = 1 << 14
"""The fewest numbers for which another thread pays."""
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
}


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library; None where it is switched off or cannot be compiled or loaded (the log says why)."""
    if os.environ.get("LOSSODYSSEY_NATIVE") == "0":
        return None
    for threads in (["-fopenmp"], []):
        try:
            return ctypes.CDLL(str(_compiled(threads)))
        except (OSError, subprocess.SubprocessError) as problem:
            how = "with OpenMP" if threads else "at all"
            logging.getLogger(__name__).info("no compiled kernels %s: %s", how, problem)
    return None


def call(name: str, *arguments: Tensor | int | float | None) -> None:
    """Call a function of the library: tensors by the address of their first element, None as NULL."""
    compiled = library()
    assert compiled is not None
    getattr(compiled, name)(*map(_plain, arguments))


def number_of_threads(numbers: int, threads: int) -> int:
    """Return how many of the threads to use on an array of this many numbers."""
    return max(1, min(threads, numbers // GRAIN))


def _plain(argument: Tensor | int | float | None) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    return None if argument is None else ctypes.c_double(argument)


def _compiled(options: list[str]) -> Path:
    """Return the library for these sources, options, compiler and processor, compiled if it is not there yet."""
    here = Path(__file__).parent
    sources = sorted(here.glob("*.c"))
    command = [*_compiler(), *FLAGS, *options, *INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())]
    key = hashlib.sha256(" ".join([*command, platform.machine()]).encode())
    for source in [*sources, *sorted(here.glob("*.h"))]:
        key.update(source.read_bytes())
    path = _cache_folder() / f"{key.hexdigest()[:24]}.so"
    if not path.exists():
        with writing(path) as draft:
            subprocess.run(
                [*command, "-o", str(draft), *map(str, sources), "-lm"], check=True, capture_output=True, timeout=120
            )
    return path


def _compiler() -> list[str]:
    chosen = shlex.split(os.environ.get("CC", ""))
    names = [chosen[0]] if chosen else ["cc", "gcc", "clang"]
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None or os.name == "nt":
        raise FileNotFoundError(f"no C compiler among {', '.join(names)}")
    return [found, *chosen[1:]]


def _cache_folder() -> Path:
    """Return a folder that only the user may write to, because what lies there is executed."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lossodyssey" / "native"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise PermissionError(f"{folder} can be written to by others: remove it, or set XDG_CACHE_HOME")
    return folder
