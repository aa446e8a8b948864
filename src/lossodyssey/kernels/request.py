"""What one walk over the logits is given and what it is asked for.

Letters: N samples, C classes or channels, V voxels of a sample, E elements of a voxel that have a log-probability
(1 under softmax: the true class; C under sigmoid: every channel's true state).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

VoxelFormula = Callable[..., Tensor]
"""(log_p (E, v), labels (E, v), classes (E, v) or (E, 1), *maps (E, v)) -> values (E, v)."""

MapFormula = Callable[..., Tensor]
"""(s (C', v), g (C', v) or None, *maps (C', v)) -> values (C', v)."""


@dataclass(frozen=True)
class Truth:
    """The truth of a batch: integer labels under softmax, or one truth per class or channel.

    `labels` (N, V) integers; or `regions` (N, C, V), bool, integer or float in 0..1. `weight` (N, 1, V), or beside
    regions (N, C, V), bool or number, is 0 where a voxel does not count; voxels labelled `ignore` do not count either.
    """

    labels: Tensor | None
    regions: Tensor | None
    weight: Tensor | None
    ignore: int | None
    sigmoid: bool
    soft: bool = False


@dataclass(frozen=True, eq=False)
class VoxelTerm:
    """A sum over voxels of a formula of the true class's log-probability; `maps` (N, E, V) are constants."""

    owner: object
    formula: VoxelFormula
    maps: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class MapTerm:
    """A sum over voxels and the classes from `first` on of a formula of s, g and constant `maps` (N, C, V).

    A `linear` formula is s times the only map; it may be given None as g.
    """

    owner: object
    formula: MapFormula
    maps: tuple[Tensor, ...] = ()
    first: int = 0
    linear: bool = False


@dataclass
class Request:
    """Everything that the losses of one sum ask of one walk."""

    table: bool = False
    squares: bool = False
    log_p: bool = False
    voxel_terms: list[VoxelTerm] = field(default_factory=list)
    map_terms: list[MapTerm] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The first class of any map term."""
        return min((term.first for term in self.map_terms), default=0)

    def position(self, owner: object) -> int:
        """Where the term of `owner` stands in `Answer.terms`."""
        owners = [term.owner for term in self.voxel_terms] + [term.owner for term in self.map_terms]
        return next(k for k, known in enumerate(owners) if known is owner)


@dataclass(frozen=True)
class Answer:
    """What one walk found.

    `sums` (N, C, 2 or 4): sum s, sum g s and, when squares were asked for, sum s^2 and sum g s^2.
    `truths` (N, C): sum g. `voxels` (N, 1 or C): sum of the weights. `terms` (T,): the voxel terms, then the map terms.
    `log_p` (N, E, V), expected over soft labels, when asked for. Only `sums`, `terms`, `log_p` carry gradients.
    """

    sums: Tensor
    truths: Tensor
    voxels: Tensor
    terms: Tensor
    log_p: Tensor | None


def accumulator(logits: Tensor) -> torch.dtype:
    """The dtype of sums: float64 wherever the device has it."""
    return torch.float32 if logits.device.type == "mps" else torch.float64


def compute_dtype(logits: Tensor) -> torch.dtype:
    """The dtype of arithmetic: float32 for half precision, else the logits' own."""
    return torch.float32 if logits.dtype in (torch.float16, torch.bfloat16) else logits.dtype
