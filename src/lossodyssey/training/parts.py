"""How long the parts of a training take: waiting for data, the network, the loss, and auxiliary values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

PARTS = ("data", "network", "loss", "auxiliaries")
ON_DEVICE = ("network", "loss")


class Clock:
    """Adds up the seconds of each part.

    `data` is the time that steps wait for their batch, `network` that of its two passes and of the optimizer, `loss`
    that of the value of the loss; the loss's share of the backward pass cannot be told from the network's. The
    `auxiliaries` are made in the thread that makes batches, beside the steps. Work on a GPU is measured by events in
    its queue, which waits for nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.queued = device.type == "cuda"
        self.pending: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time of what is done in between to a part."""
        if self.queued and part in ON_DEVICE:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            first.record()
            yield
            last.record()
            self.pending.append((part, first, last))
            return
        began = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - began

    def settle(self) -> None:
        """Add what the GPU has done meanwhile."""
        done = [entry for entry in self.pending if entry[2].query()]  # type: ignore[no-untyped-call]
        for part, first, last in done:
            self.seconds[part] += first.elapsed_time(last) / 1000
        self.pending = [entry for entry in self.pending if entry not in done]

    def resume(self, earlier: Mapping[str, float]) -> None:
        """Go on from the seconds of a run that was cut off."""
        self.seconds |= {part: float(earlier[part]) for part in PARTS if part in earlier}
