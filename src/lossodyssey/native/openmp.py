"""The threads of the OpenMP runtime that PyTorch has loaded.

The C code calls that runtime by its address. So no compiler must know OpenMP, no second runtime comes into the process,
and both share one pool of threads.
"""

from __future__ import annotations

import ctypes

import torch

_pools: list[ctypes.c_void_p] = []
_forked = False


def runtime() -> int | None:
    """Return the address of `GOMP_parallel`, which the runtimes of GNU, LLVM and Intel share; None without one."""
    try:
        # The symbols of a library are looked up among those that it depends on, too.
        function = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (OSError, AttributeError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value


def give(library: ctypes.CDLL, threads: int | None) -> None:
    """Tell a library where the runtime is, except in a forked process: the threads stayed in its parent."""
    pool = ctypes.c_void_p.in_dll(library, "lo_parallel")
    pool.value = None if _forked else threads
    _pools.append(pool)


def forget() -> None:
    """Take the threads from all libraries, because this process was forked and would wait for them for ever."""
    global _forked
    _forked = True
    for pool in _pools:
        pool.value = None
