"""The C code of the package: in the library of a wheel, else compiled once where a C compiler is at hand.

Without either PyTorch does the same work. A library that is compiled lies in the user's cache folder under a name made
of its source, compiler and instruction set. `LOSSODYSSEY_NATIVE=0` switches the C code off. Its functions take arrays
as pointers, every whole number as int64_t, and their threads are those that PyTorch has begun.
"""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lossodyssey.native import openmp, toolchain
from lossodyssey.native.compiler import NoCompiler, Unavailable
from lossodyssey.native.signatures import Argument, Function

GRAIN = 1 << 14
"""The fewest numbers for which another thread pays."""
LARGE = 1 << 16
"""The numbers from which on a missing compiler costs time: below it whole tensors are as fast."""

_making = threading.Lock()
_told = threading.Lock()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The library, its file, and its functions for a set of `instructions`; or the reason why there is none.

    With `openmp` it shares the threads of PyTorch; a library without them has a reason, too.
    `remedy` says what the user can do about the reason, and is empty where the user wished it so; `least` is the size
    of the inputs that suffer from it.
    """

    library: ctypes.CDLL | None = None
    path: Path | None = None
    instructions: str = ""
    functions: Mapping[str, Function] = field(default_factory=dict)
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
            f"no compiled code: {found.reason}. PyTorch does the same work, more slowly. To fix it: {found.remedy}; "
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
    """Load the library, compiled if need be; whatever goes wrong is a reason, not an error."""
    if os.environ.get("LOSSODYSSEY_NATIVE", "").strip().lower() in ("0", "false", "no", "off"):
        return Outcome(reason="switched off by LOSSODYSSEY_NATIVE")
    try:
        return _found()
    except Unavailable as problem:
        return Outcome(
            reason=str(problem), remedy=problem.remedy, least=LARGE if isinstance(problem, NoCompiler) else 0
        )
    except Exception as problem:  # a loss that PyTorch can compute must not fail for want of speed
        return Outcome(reason=f"{type(problem).__name__}: {problem}", remedy="report this message with its machine")


def call(name: str, *arguments: Argument) -> None:
    """Call a function of the library: tensors by the address of their first element, None as NULL.

    Raises:
        TypeError, MemoryError: as `Function`.
    """
    outcome().functions[name](*arguments)


def number_of_threads(numbers: int, threads: int) -> int:
    """Return how many of the threads to use on an array of this many numbers."""
    return max(1, min(threads, numbers // GRAIN))


def _found() -> Outcome:
    found, threads = toolchain.find(), openmp.runtime()
    openmp.give(found.loaded, threads)
    told = "" if threads else "one thread: PyTorch has no OpenMP"
    return Outcome(found.loaded, found.path, found.instructions, found.functions, threads is not None, told)


def _begin_again() -> None:
    """Give a forked process a lock of its own and one thread: no other thread of its parent is in there."""
    global _making
    _making = threading.Lock()
    openmp.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
