"""Memory that a training step frees, kept for the next one."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`, by the numbers in its header."""

SIZES = (2**31 - 1, 2**25)
"""Thresholds in bytes: the most that the call takes, and that glibc before 2.35 takes for the second parameter."""


def keep_freed_memory() -> bool:
    """Ask the C library of this process to keep the memory that is freed; return whether it does.

    glibc returns large blocks to the system, which clears every page of them again in the next step. How many depends
    on the patch; a step on a processor takes up to 1.3 times as long, and the peak of memory is the same either way
    (`benchmarks/results/allocator.md`). Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return all(any(mallopt(parameter, size) for size in SIZES) for parameter in (TRIM_THRESHOLD, MMAP_THRESHOLD))
