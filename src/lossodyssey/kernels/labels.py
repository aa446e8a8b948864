"""The check of labels, which reads them all once more before the pass."""

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
