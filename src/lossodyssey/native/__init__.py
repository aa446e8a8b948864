"""The C code of the package, compiled once where a C compiler is at hand; without one PyTorch does the same work.

The library lies in the user's cache folder under a name made of its source, compiler and instruction set.
`LOSSODYSSEY_NATIVE=0` switches it off. Its functions take arrays as pointers, every whole number as int64_t.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from lossodyssey.native.toolchain import Broken, NoCompiler, Unavailable, build

GRAIN = 1 << 14
"""The fewest numbers for which another thread pays."""
LARGE = 1 << 16
"""The numbers from which on a missing compiler costs time: below it whole tensors are as fast."""

_making = threading.Lock()
_told = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The library and its file, with one thread only where OpenMP is missing; or the reason why there is none.

    `remedy` says what the user can do about the reason, and is empty where the user wished it so; `least` is the size
    of the inputs that suffer from it.
    """

    library: ctypes.CDLL | None = None
    path: Path | None = None
    openmp: bool = False
    reason: str = ""
    remedy: str = ""
    least: int = 0


def library() -> ctypes.CDLL | None:
    """Return the compiled library; None where it is switched off or cannot be had."""
    return outcome().library


def serves(numbers: int) -> bool:
    """Return whether compiled code is there for an input of this many numbers.

    The first input that suffers from its absence is told why, in a warning.
    """
    if library() is not None:
        return True
    found = outcome()
    if found.remedy and numbers >= found.least and _told.acquire(blocking=False):
        warnings.warn(
            f"no compiled code: {found.reason}. PyTorch does the same work, more slowly. To mend it: {found.remedy}; "
            "LOSSODYSSEY_NATIVE=0 accepts it in silence. `lossodyssey env` shows what was found",
            stacklevel=3,
        )
    return False


@cache
def outcome() -> Outcome:
    """Return the outcome of the C code in this process, decided by the thread that asks first."""
    with _making:  # the others wait for it: a cache alone would let them all compile
        return _decided()


@cache
def _decided() -> Outcome:
    return attempt()


def attempt() -> Outcome:
    """Load the library, compiled if need be, with OpenMP if possible; whatever goes wrong is a reason, not an error."""
    if os.environ.get("LOSSODYSSEY_NATIVE", "").strip().lower() in ("0", "false", "no", "off"):
        return Outcome(reason="switched off by LOSSODYSSEY_NATIVE")
    try:
        return _built()
    except Unavailable as problem:
        return Outcome(
            reason=str(problem), remedy=problem.remedy, least=LARGE if isinstance(problem, NoCompiler) else 0
        )
    except Exception as problem:  # a loss that PyTorch can compute must not fail for want of speed
        return Outcome(reason=f"{type(problem).__name__}: {problem}", remedy="report this message with its machine")


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


def _built() -> Outcome:
    try:
        made, path = build(("-fopenmp",))
    except Broken as problem:
        logging.getLogger(__name__).info("no OpenMP: %s", problem)
        made, path = build(())
        return Outcome(library=made, path=path, reason=f"one thread: {problem}")
    return Outcome(library=made, path=path, openmp=True)


def _forget_the_lock() -> None:
    """Give a forked process a lock of its own: the thread that held it is not in there to release it."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_lock)
