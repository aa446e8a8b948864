"""The common ground of losses of persistent features: how voxels are connected, and how often they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Annotated, Any

import torch
from torch import Tensor

from lossodyssey.auxiliary.components import Connectivity
from lossodyssey.core.fields import Interval
from lossodyssey.core.grids import CriticalLoss, outside_graphs
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import functional
from lossodyssey.kernels.persistence import NEVER, persistence

Whole = Annotated[int, Interval(1)]


class PersistenceLoss(CriticalLoss, abstract=True, monotone=False):
    """Abstract: a loss of the features that appear and vanish as the level of s falls from 1 to 0.

    `connectivity` says how voxels of an object are connected, "full" through corners or "faces"; the complement is
    connected the other way. Voxels that do not count, and all outside of the image, have s = 0.

    Two fields save time in training. `crop` looks at a window of at most this many voxels along each axis, at a place
    drawn by the number of the call; outside of training it lies in the middle. `every` evaluates one of this many
    calls, drawn again for each run of that many; the others return 0 without a gradient. A call without gradients, or
    after `eval()`, is always evaluated. Each scale of deep supervision is a call of its own. The number of calls is
    kept by `schedule_state`, so that a training that is resumed draws what it would have drawn.
    """

    connectivity: Connectivity = "full"
    crop: Whole | None = None
    every: Whole = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every > 1 or self.crop is not None:
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)

    def of(self, pair: Pair) -> Tensor:
        if self.every > 1 or self.crop is not None:
            return self.some_of(pair)
        return super().of(pair)

    @outside_graphs
    def some_of(self, pair: Pair) -> Tensor:
        """Return the loss if this call is evaluated, else 0, and count the call."""
        if self.counting():
            turn = int(self.get_buffer("calls").add_(1))
            if not is_due(turn, self.every):
                return pair.z[..., :0].sum(dtype=torch.float64)
        return super().of(pair)

    def counting(self) -> bool:
        """Return whether this call is one of a training."""
        return self.training and torch.is_grad_enabled() and not functional()

    def _counted(self, grid: Tensor, pair: Pair, first: int) -> Tensor:
        found = super()._counted(grid, pair, first)
        if self.crop is None:
            return found
        window: tuple[Any, ...] = (..., *self.window(pair.shape, self.crop))
        return found[window]

    def window(self, shape: Sequence[int], crop: int) -> tuple[slice, ...]:
        """Return the part of the grid that this call looks at."""
        draw = Random(int(self.get_buffer("calls"))).random if self.counting() else lambda: 0.5
        starts = [int(draw() * (max(n - crop, 0) + 1)) for n in shape]
        return tuple(slice(start, start + crop) for start in starts)

    def pairs(self, field: Tensor, dimensions: Sequence[int]) -> dict[int, Tensor]:
        """Return the flat voxels of birth and death (P, 2) of the features of each dimension."""
        return persistence(field, self.connectivity, dimensions)


def is_due(turn: int, every: int) -> bool:
    """Return whether the call of this number, from 1 on, is the one of its run of `every` that is evaluated."""
    run, place = divmod(turn - 1, every)
    return place == int(Random(run).random() * every)


def ends(s: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values of s at births and deaths; what never dies dies at 0, outside of the image."""
    born, dies = s.flatten()[pairs].unbind(-1)
    return born, torch.where(pairs[:, 1] == NEVER, 0, dies)


def enclosing(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the dimensions of objects, and of what they enclose: holes of a plane, cavities of a volume."""
    axes = sum(n > 1 for n in shape)
    return (0, axes - 1) if axes > 1 else (0,)
