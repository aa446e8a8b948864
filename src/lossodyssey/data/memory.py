"""The memory that the cases of a training may take."""

from __future__ import annotations

import os
from pathlib import Path

import torch

SHARE = 4  # a quarter: the network, the case being read and other runs need memory, too
SHARE_OF_GPU = 2
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
UNKNOWN = 8 << 30


def most_held(device: torch.device) -> int:
    """Return the bytes of cases that are held on `device`: a quarter of the memory, half of a GPU's own."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // SHARE_OF_GPU
    return min(_physical(), *map(_limit, LIMITS)) // SHARE


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def _limit(path: str) -> int:
    """Return the limit of a control group; without one, more than any machine has."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1 << 62
