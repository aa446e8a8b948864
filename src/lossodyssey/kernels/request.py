"""The inputs of one pass over the logits, and the statistics that it computes.

Letters: N samples, C classes or channels, V voxels of a sample, E elements of a voxel that have a log-probability
(1 under softmax: the true class; C under sigmoid: every channel's true state).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lossodyssey.kernels.powers import Declaration

VoxelFormula = Callable[..., Tensor]
"""(log_p (E, v), labels (E, v), classes (E, v) or (E, 1), *maps (E, v)) -> values (E, v)."""

MapFormula = Callable[..., Tensor]
"""(s (C', v), g (C', v), *maps (C', v)) -> values (C', v)."""


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
    """A sum over voxels of a formula of the true class's log-probability; `maps` (N, E, V) are constants.

    `powers` declares the formula as a sum of powers, which compiled code knows. It is None, or returns None, where the
    formula is not such a sum.
    """

    owner: object
    formula: VoxelFormula
    maps: tuple[Tensor, ...] = ()
    powers: Declaration | None = None


@dataclass(frozen=True, eq=False)
class MapTerm:
    """A sum over voxels and the classes from `first` on of a formula of s, g and constant `maps` (N, C, V)."""

    owner: object
    formula: MapFormula
    maps: tuple[Tensor, ...] = ()
    first: int = 0


@dataclass(frozen=True, eq=False)
class MapSum:
    """The sums per sample and class of s and of g times a constant `map` (N, C, V), or (N, 1, V) for all classes.

    They are 0 for the classes before `first`, which saves their time.
    """

    owner: object
    map: Tensor
    first: int = 0


@dataclass
class Request:
    """Everything that the losses of one sum ask of one pass."""

    table: bool = False
    squares: bool = False
    log_p: bool = False
    voxel_terms: list[VoxelTerm] = field(default_factory=list)
    map_terms: list[MapTerm] = field(default_factory=list)
    map_sums: list[MapSum] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """The number of columns of `Statistics.sums`."""
        return (4 if self.squares else 2) if self.table else 0

    @property
    def first(self) -> int:
        """The first class of any map term or sum under a map."""
        firsts = [term.first for term in self.map_terms] + [term.first for term in self.map_sums]
        return min(firsts, default=0)

    def position(self, owner: object) -> int:
        """Return where the first term of `owner` stands in `Statistics.terms`."""
        owners = [term.owner for term in self.voxel_terms] + [term.owner for term in self.map_terms]
        return next(k for k, known in enumerate(owners) if known is owner)

    def map_positions(self, owner: object) -> list[int]:
        """Return where the maps of `owner` stand along the last axis of `Statistics.map_sums`, in order."""
        return [k for k, term in enumerate(self.map_sums) if term.owner is owner]


@dataclass(frozen=True)
class Statistics:
    """The statistics of one pass over the logits.

    `sums` (N, C, 2 or 4): over false voxels and over true ones, sum (1 - g) s and sum g s, and when squares were asked
    for, sum (1 - g) s^2 and sum g s^2. Of a soft truth the first two are sum (s - g)^+ and sum min(s, g), and beside
    the squares stand sum g s and sum g^2.
    `truths` (N, C): sum g. `voxels` (N, 1 or C): sum of the weights. `terms` (T,): the voxel terms, then the map terms.
    `map_sums`, `map_truths` (N, C, M): sum m s and sum m g for each map m; g is soft where the truth is.
    `log_p` (N, E, V), expected over soft labels, when asked for. Only `sums`, `map_sums`, `terms`, `log_p` carry
    gradients. Every sum is over the voxels times their weights.
    """

    sums: Tensor
    truths: Tensor
    voxels: Tensor
    map_sums: Tensor
    map_truths: Tensor
    terms: Tensor
    log_p: Tensor | None


def accumulator(logits: Tensor) -> torch.dtype:
    """Return the dtype of sums: float64 wherever the device has it."""
    return torch.float32 if logits.device.type == "mps" else torch.float64


def compute_dtype(logits: Tensor) -> torch.dtype:
    """Return the dtype of arithmetic: float32 for half precision, else the logits' own."""
    return torch.float32 if logits.dtype in (torch.float16, torch.bfloat16) else logits.dtype
