"""The checks of a truth, which read it all once more before the pass."""

from __future__ import annotations

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels.job import LABELS


def within(labels: Tensor, classes: int, ignored: int | None) -> bool:
    """Return whether all integer labels are 0 to `classes` - 1, or `ignored`."""
    if labels.numel() == 0:
        return True
    if labels.is_cpu and labels.dtype in LABELS and native.serves(labels.numel()):
        return _largest(labels.contiguous(), ignored) < classes
    known = labels if ignored is None or ignored in range(classes) else labels.masked_fill(labels == ignored, 0)
    # Both in one tensor: every value that is read from an accelerator waits for it.
    low, high = torch.stack(torch.aminmax(known)).tolist()
    return bool(low >= 0 and high < classes)


def _largest(labels: Tensor, ignored: int | None) -> int:
    threads = native.number_of_threads(labels.numel(), torch.get_num_threads())
    found = torch.zeros(threads, dtype=torch.int64)
    native.call(
        "lo_largest_label",
        labels,
        LABELS[labels.dtype],
        labels.numel(),
        int(ignored is not None),
        ignored or 0,
        found,
        threads,
    )
    return int(found.max())


def shares(truth: Tensor, *, exclusive: bool) -> tuple[bool, bool] | None:
    """Return whether a truth (N, C, V) is soft, and whether it is valid; None where compiled code cannot read it.

    It is soft where a number is neither 0 nor 1. It is valid where all are 0 to 1 and those of `exclusive` classes sum
    to 1, up to what half precision rounds.
    """
    if not (truth.is_cpu and truth.dtype == torch.float32 and truth.is_contiguous() and native.serves(truth.numel())):
        return None
    threads = native.number_of_threads(truth.numel(), torch.get_num_threads())
    found = torch.zeros((threads, 2), dtype=torch.int64)
    native.call("lo_check_shares", truth, *truth.shape, int(exclusive), found, threads)
    soft, wrong = found.amax(0).tolist()
    return bool(soft), not wrong
