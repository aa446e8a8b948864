"""Some voxels of one sample: what every chunk does, whatever the link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lossodyssey.kernels.plain import weight_from
from lossodyssey.kernels.request import MapTerm, Request, Truth, accumulator, compute_dtype

CHUNK_VALUES, CHUNK_VOXELS = 1 << 19, 1 << 16
"""The most logits and the most voxels of a chunk: few megabytes, and sums in float32 that keep their digits."""

ACCELERATOR_CHUNKS = 64
"""How many times larger a chunk is on an accelerator, whose operations cost more to start than to do."""


@dataclass(frozen=True)
class Slopes:
    """dL/d of every part of an answer that carries a gradient."""

    sums: Tensor
    terms: Tensor
    log_p: Tensor


@dataclass(frozen=True)
class Part:
    """A chunk's share of an answer: `sums` (C, k), `truths` (C,), `voxels` (1 or C,), `terms` (T,), `log_p` (E, v)."""

    sums: Tensor
    truths: Tensor
    voxels: Tensor
    terms: Tensor
    log_p: Tensor


class Chunk:
    """Abstract: voxels `where` of one sample, their truth, their probabilities, sums and gradient.

    `labels` and `log_p` are (E, v), `classes` (E, v) or (E, 1), `weight` (1 or C, v) or None where all count alike.
    `positions` counts the voxels of a chunk from 0. `threads` may work on it where it is not `alone`.
    """

    alone: ClassVar[bool] = True
    """Whether a chunk is worked on by one thread, so that several threads may take whole chunks each."""

    labels: Tensor
    classes: Tensor
    log_p: Tensor
    weight: Tensor | None

    def __init__(
        self, logits: Tensor, truth: Truth, request: Request, positions: Tensor, threads: int, sample: int, where: slice
    ) -> None:
        self.request, self.threads, self.sample, self.where = request, threads, sample, where
        self.positions = positions[: where.stop - where.start]
        self.dtype, self.wide = compute_dtype(logits), accumulator(logits)
        self.weight = None if truth.weight is None else truth.weight[sample, :, where].to(self.dtype)
        self.read(logits[sample, :, where].to(self.dtype), truth)

    @staticmethod
    def size(logits: Tensor, request: Request) -> int:
        """Voxels of a chunk, at most."""
        size = max(1024, min(CHUNK_VALUES // logits.shape[1], CHUNK_VOXELS))
        return size if logits.device.type == "cpu" else size * ACCELERATOR_CHUNKS

    def read(self, z: Tensor, truth: Truth) -> None:
        """Take in the logits (C, v) and the truth."""
        raise NotImplementedError("abstract")

    def s(self) -> Tensor:
        """Probabilities (C, v)."""
        raise NotImplementedError("abstract")

    def g(self) -> Tensor:
        """Truth (C, v) per class."""
        raise NotImplementedError("abstract")

    def sums(self) -> list[Tensor]:
        """The columns (C,) of the table that were asked for."""
        raise NotImplementedError("abstract")

    def truths(self) -> Tensor:
        """True voxels (C,) per class."""
        raise NotImplementedError("abstract")

    def gradient(self, slopes: Slopes) -> Tensor:
        """dL/dz (C, v)."""
        raise NotImplementedError("abstract")

    def write(self, slopes: Slopes, out: Tensor) -> None:
        """Write dL/dz to `out` (C, v)."""
        out.copy_(self.gradient(slopes))

    def part(self) -> Part:
        """This chunk's share of the answer."""
        columns, terms = self.sums(), [*self.voxel_sums(), *self.map_sums()]
        count = len(self.positions) if self.weight is None else self.weight.sum(1, dtype=self.wide)
        empty = torch.empty(0, dtype=self.wide, device=self.positions.device)
        return Part(
            sums=torch.stack(columns, 1) if columns else empty,
            truths=self.truths().to(self.wide),
            voxels=torch.as_tensor(count, dtype=self.wide, device=self.positions.device),
            terms=torch.stack(terms) if terms else empty,
            log_p=self.log_p if self.request.log_p else empty,
        )

    def voxel_sums(self) -> Iterator[Tensor]:
        for k in range(len(self.request.voxel_terms)):
            yield self.sum(self.voxel_values(k, self.log_p))

    def map_sums(self) -> Iterator[Tensor]:
        if self.request.map_terms:
            values = self.map_values(self.s()[self.request.first :])
            yield from map(self.sum, values, [term.first for term in self.request.map_terms])

    def sum(self, values: Tensor, first: int = 0) -> Tensor:
        """Summed in its own dtype along voxels: a sum in another dtype makes a copy first."""
        return self.weighted(values, first).sum(-1).sum(dtype=self.wide)

    def weighted(self, values: Tensor, first: int = 0) -> Tensor:
        """Values (C', v) of the classes from `first` on, or (v,), times the weights of their voxels."""
        if self.weight is None:
            return values
        return values * (weight_from(self.weight, first) if values.ndim > 1 else self.weight[0])

    def voxel_values(self, k: int, log_p: Tensor) -> Tensor:
        term = self.request.voxel_terms[k]
        maps = (m[self.sample, :, self.where] for m in term.maps)
        return term.formula(log_p, self.labels, self.classes, *maps)

    def map_values(self, s: Tensor) -> list[Tensor]:
        """The values (C', v) of every map term, given the probabilities of the classes from the first of them on."""
        g = None if all(term.linear for term in self.request.map_terms) else self.g()
        return [self.map_value(term, s[term.first - self.request.first :], g) for term in self.request.map_terms]

    def map_value(self, term: MapTerm, s: Tensor, g: Tensor | None) -> Tensor:
        return term.formula(s, None if g is None else g[term.first :], *self.maps_of(term))

    def maps_of(self, term: MapTerm) -> list[Tensor]:
        return [m[self.sample, term.first :, self.where] for m in term.maps]

    def d_log_p(self, slopes: Slopes) -> Tensor | None:
        """dL/d(log_p) (E, v), by autograd through the voxel formulas alone."""
        direct = slopes.log_p[self.sample, :, self.where] if self.request.log_p else None
        if not self.request.voxel_terms:
            return direct
        with torch.enable_grad():
            log_p = self.log_p.detach().requires_grad_()
            values = [self.voxel_values(k, log_p) for k in range(len(self.request.voxel_terms))]
        slope = self._pull_back(values, log_p, slopes.terms[: len(values)], self.weight, [0] * len(values))
        return slope if direct is None else slope + direct

    def d_s(self, slopes: Slopes, weight: Tensor | None) -> Tensor | None:
        """dL/ds (C', v) of the classes from the request's first on, by autograd through the map formulas alone.

        Voxels count by the `weight`.
        """
        if not self.request.map_terms:
            return None
        with torch.enable_grad():
            s = self.s()[self.request.first :].detach().requires_grad_()
            values = self.map_values(s)
        prices = slopes.terms[len(self.request.voxel_terms) :]
        return self._pull_back(values, s, prices, weight, [term.first for term in self.request.map_terms])

    def _pull_back(
        self, values: list[Tensor], source: Tensor, prices: Tensor, weight: Tensor | None, firsts: list[int]
    ) -> Tensor:
        """d/d(source) of the weighted sums of the values, each of the classes from its first on, at these prices."""
        seeds = list(prices.to(self.dtype))
        if weight is not None:
            seeds = [seed * weight_from(weight, first) for seed, first in zip(seeds, firsts, strict=True)]
        return slope_of(values, source, [seed.expand_as(value) for seed, value in zip(seeds, values, strict=True)])


def slope_of(values: list[Tensor], source: Tensor, seeds: list[Tensor]) -> Tensor:
    """d/d(source) of the sums of the values times the seeds; values may be constants."""
    moving = [k for k, value in enumerate(values) if value.requires_grad]
    if not moving:
        return torch.zeros_like(source)
    return torch.autograd.grad([values[k] for k in moving], source, [seeds[k] for k in moving])[0]
