"""The entry of a row of the table, and the two calls that everything is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Call = Callable[..., Tensor]
"""Logits (N, C, *S), integer labels (N, *S) and, for rows that are given one, a map of the truth: a scalar."""

EVERY_SIZE = 1 << 62


@dataclass(frozen=True)
class Entry:
    """A call, the row of ours that it stands `beside`, and its value in terms of ours.

    `equals` is the text of our loss that gives the same number, where there is one, and `relation` the number of the
    call in terms of it (see `lossodyssey.guide.peers`). `maps` makes, from labels and the number of classes, the
    last argument of the call before the clock starts. Above `limit` logits the call is too slow to be measured
    unasked. A `compiled` call spends seconds on its compilation when it is first made.
    """

    beside: str
    call: Call
    equals: str | None = None
    relation: str = "same"
    maps: Callable[[Tensor, int], Any] | None = None
    limit: int = EVERY_SIZE
    ours: bool = False
    compiled: bool = False

    def ready(self, logits: Tensor, labels: Tensor) -> Callable[[], Tensor]:
        """Return the call for this batch, with its maps made."""
        given = () if self.maps is None else (self.maps(labels, logits.shape[1]),)
        return partial(self.call, logits, labels, *given)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels)


def floor(logits: Tensor, labels: Tensor) -> Tensor:
    """Read the logits once and write one fresh gradient: no loss can do less."""
    value: Tensor = Floor.apply(logits)  # type: ignore[no-untyped-call]
    return value


class Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        return logits.new_zeros(())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Any gradient will do, as long as it is read from the logits and written afresh.
        (logits,) = ctx.saved_tensors
        return torch.mul(logits, 2.0)
