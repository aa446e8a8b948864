"""Peak and held memory of one forward and backward pass, as multiples of the logits.

On the CPU the growth of the resident set of a fresh process, in which a pass on a small batch has loaded everything;
on CUDA the count of PyTorch's allocator.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import torch
from benchmarks.clock import Outcome, noting
from benchmarks.peers import Entry
from torch import Tensor


def keep_freed_memory() -> None:
    """Let the allocator keep what it got, so that no call pays for the page faults of another."""
    libc = ctypes.CDLL(None)
    libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD
    libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def give_back_freed_memory() -> None:
    """Let the allocator return every large block at once, so that the resident set is what is in use."""
    ctypes.CDLL(None).mallopt(-3, 64 << 10)


def weigh(entry: Entry, logits: Tensor, labels: Tensor) -> dict[str, float | str]:
    """Measure `peak` and `held`, or return `status` and `reason` of a call that fails; its maps are made before."""
    logits.grad, device = None, logits.device.type
    size, outcome, row = logits.numel() * logits.element_size(), Outcome(), dict[str, float | str]()
    with noting(outcome):
        call = entry.ready(logits, labels)
        # From here on every byte is the call's own: logits, labels and maps are there already.
        resting = _used(device)
        _forget_peak(device)
        value = call()
        # Between the passes only the tensors kept for the gradient are alive.
        row["held"] = (_used(device) - resting) / size
        torch.autograd.backward(value)
        row["peak"] = (_peak(device) - resting) / size
    return row if outcome.status == "ok" else {"status": outcome.status, "reason": outcome.reason}


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def _used(device: str) -> int:
    return torch.cuda.memory_allocated() if device == "cuda" else _status("VmRSS")


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def _forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        # Linux: 5 sets the peak of the resident set back to its present size.
        Path("/proc/self/clear_refs").write_text("5")
