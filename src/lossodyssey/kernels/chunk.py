"""Some voxels of one sample: the inputs and outputs of back ends that work in chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey.kernels.plain import weight_from
from lossodyssey.kernels.request import Request, Truth, accumulator, compute_dtype

CHUNK_VALUES, CHUNK_VOXELS = 1 << 19, 1 << 16
"""The most logits and the most voxels of a chunk: few megabytes, and sums in float32 that keep their digits."""

ACCELERATOR_CHUNKS = 64
"""How many times larger a chunk is on an accelerator, whose operations cost more to start than to do."""


@dataclass(frozen=True)
class Chunk:
    """The voxels `where` of one sample, with their truth and the request.

    `positions` counts the voxels from 0. Compiled code may use `threads`.
    """

    logits: Tensor
    truth: Truth
    request: Request
    positions: Tensor
    threads: int
    sample: int
    where: slice

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of arithmetic."""
        return compute_dtype(self.logits)

    @property
    def wide(self) -> torch.dtype:
        """The dtype of sums."""
        return accumulator(self.logits)

    def part_of(self, x: Tensor, first: int = 0) -> Tensor:
        """Return the chunk's part (C', v) of x (N, C, V), from class `first` on."""
        return x[self.sample, first:, self.where]

    def z(self) -> Tensor:
        """Return the logits (C, v)."""
        return self.part_of(self.logits).to(self.dtype)

    def counted_z(self, weight: Tensor | None) -> Tensor:
        """Return the logits (C, v), 0 in voxels that do not count, which may hold anything, NaN too."""
        return self.z() if weight is None else torch.where(weight > 0, self.z(), 0)

    def given_weight(self) -> Tensor | None:
        """Return the weights (1 or C, v) that were given, which know nothing of ignored labels."""
        return None if self.truth.weight is None else self.part_of(self.truth.weight).to(self.dtype)

    def maps(self) -> list[Tensor]:
        """Return the maps (1 or C', v) of the sums under maps, each for the classes from its first on."""
        terms = self.request.map_sums
        return [self.part_of(x.map, x.first if x.map.shape[1] > 1 else 0).to(self.dtype) for x in terms]

    def voxels(self, weight: Tensor | None) -> Tensor:
        """Return the sum of the weights, (1 or C,) or a scalar."""
        if weight is not None:
            return weight.sum(1, dtype=self.wide)
        return torch.as_tensor(len(self.positions), dtype=self.wide, device=self.positions.device)


@dataclass(frozen=True)
class Part:
    """A chunk's share of the statistics: `voxels` (1 or C,), `terms` (T,), `log_p` (E, v).

    `table` (C, 5 + 2M) holds sum (1 - g) s, sum g s, sum (1 - g) s^2, sum g s^2, sum g, the M sums of s under maps, and
    those of g; columns that were not asked for may be 0.
    """

    table: Tensor
    voxels: Tensor
    terms: Tensor
    log_p: Tensor


@dataclass(frozen=True)
class Upstream:
    """The gradients dL/d of all statistics that carry one."""

    sums: Tensor
    map_sums: Tensor
    terms: Tensor
    log_p: Tensor


@dataclass(frozen=True)
class Method:
    """How chunks are computed.

    `forward` returns a chunk's share of the statistics, `backward` writes its dL/dz to a tensor (C, v), `size` returns
    the most voxels of a chunk. With `alone` one thread works on a chunk, and several threads take whole chunks.
    """

    forward: Callable[[Chunk], Part]
    backward: Callable[[Chunk, Upstream, Tensor], None]
    size: Callable[[Tensor, Request], int]
    alone: bool


def chunk_size(logits: Tensor, request: Request) -> int:
    """Return the most voxels of a chunk whose temporaries are PyTorch's."""
    # Many classes fill the cache by their logits, few by the numbers per voxel.
    size = max(1024, min(CHUNK_VALUES // logits.shape[1], CHUNK_VOXELS))
    return size if logits.device.type == "cpu" else size * ACCELERATOR_CHUNKS


def weighted(values: Tensor, weight: Tensor | None, first: int = 0) -> Tensor:
    """Return values (C', v) of the classes from `first` on, or (v,), times the weights of their voxels."""
    if weight is None:
        return values
    return values * (weight_from(weight, first) if values.ndim > 1 else weight[0])


def stacked(terms: list[Tensor], like: Tensor) -> Tensor:
    """Return the terms as one tensor, an empty one where there are none."""
    return torch.stack(terms) if terms else like.new_empty(0)
