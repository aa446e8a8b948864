"""The walk in compiled code: chunks as in `chunked`, each of them one call that never leaves the processor's cache.

For float32 and half precision on the CPU; float64 goes the way of `chunked`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import chunked
from lossodyssey.kernels.chunk import Chunk, Part, Slopes
from lossodyssey.kernels.exclusive import read_labels
from lossodyssey.kernels.request import Answer, MapTerm, Request, Truth

LEAST_CHUNKS, LEAST_VOXELS, MOST_VOXELS = 4, 28_000, 1 << 18
ALLOCATED = 0.2
"""What PyTorch's operations may allocate for a chunk, in multiples of the logits of the batch. Fewer chunks are faster:
what surrounds the compiled code costs the same whatever the size of the chunk."""


def walk(logits: Tensor, truth: Truth, request: Request) -> Answer:
    """Answer `request` for logits (N, C, V) and a hard truth."""
    if not fits(logits):
        return chunked.walk(logits, truth, request)
    return chunked.walk(logits, truth, request, CompiledRegions if truth.sigmoid else CompiledExclusive)


def fits(logits: Tensor) -> bool:
    """Whether there is compiled code for these logits."""
    return logits.device.type == "cpu" and logits.dtype != torch.float64 and native.serves(logits.numel())


class CompiledChunk(Chunk):
    """Abstract: the compiled functions `forward` and `backward` take the truth as `self.given`."""

    alone = False
    forward: ClassVar[str]
    backward: ClassVar[str]
    given: tuple[Tensor | int | None, ...]
    linear_map: Tensor | None

    @classmethod
    def size(cls, logits: Tensor, request: Request) -> int:
        samples, classes, voxels = logits.shape
        numbers = cls.numbers(classes) + (0 if linear(request) or not request.map_terms else 4 * classes)
        share = min(ALLOCATED * classes / numbers, 1 / LEAST_CHUNKS)
        return max(1024, min(MOST_VOXELS, max(LEAST_VOXELS, int(samples * voxels * share))))

    @staticmethod
    def numbers(classes: int) -> int:
        """How many numbers of float32 voxel formulas and their slopes take per voxel, about."""
        raise NotImplementedError("abstract")

    def read(self, z: Tensor, truth: Truth) -> None:
        self.z = by_rows(z)
        self.read_truth(truth)
        wanted = self.request.log_p or bool(self.request.voxel_terms)
        elements = len(z) if truth.sigmoid else 1
        self.log_p = torch.empty((elements, z.shape[1] if wanted else 0), dtype=self.dtype)
        term, self.threads = linear(self.request), native.worth(z.numel(), self.threads)
        self.linear_map = None if term is None else by_rows(self.maps_of(term)[0].to(self.dtype))

    def read_truth(self, truth: Truth) -> None:
        raise NotImplementedError("abstract")

    def probabilities(self, out: Tensor | None, tables: Tensor | None, dots: Tensor | None = None) -> None:
        """Write s (C, v) to `out` and ln p; add each thread's sums to `tables` (T, C, 5) and `dots` (T,)."""
        if out is not None:
            self.probability = out
        log_p = self.log_p if self.log_p.numel() else None
        given = (self.z, self.z.stride(0), *self.given, *self.z.shape, out, stride_of(out))
        m = None if dots is None else self.linear_map
        wanted = (tables, self.request.squares, log_p, m, stride_of(m), self.request.first, dots)
        native.call(self.forward, *given, *wanted, self.threads)

    def s(self) -> Tensor:
        return self.probability

    def part(self) -> Part:
        needed = bool(self.request.map_terms) and self.linear_map is None
        tables = torch.zeros((self.threads, len(self.z), 5), dtype=self.wide)
        dots = torch.zeros(self.threads, dtype=self.wide)
        self.probabilities(torch.empty_like(self.z) if needed else None, tables, dots)
        self.table, self.dot = tables.sum(0), dots.sum()
        return super().part()

    def sums(self) -> list[Tensor]:
        columns = (4 if self.request.squares else 2) if self.request.table else 0
        return list(self.table[:, :columns].unbind(1))

    def truths(self) -> Tensor:
        return self.table[:, 4]

    def map_sums(self) -> Iterator[Tensor]:
        return super().map_sums() if self.linear_map is None else iter([self.dot])

    def write(self, slopes: Slopes, out: Tensor) -> None:
        d_z = out if out.dtype == self.dtype and out.stride(1) == 1 else torch.empty_like(self.z)
        self.probabilities(d_z, None)
        h, (q, price) = self.d_log_p(slopes), self.priced_d_s(slopes)
        a = torch.zeros((len(self.z), 4), dtype=self.dtype)
        a[:, : slopes.sums.shape[2]] = slopes.sums[self.sample]
        given = (d_z, d_z.stride(0), *self.given, *self.z.shape, a, self.request.squares)
        h = None if h is None else h.contiguous()
        native.call(self.backward, *given, h, q, stride_of(q), self.request.first, price, self.threads)
        if d_z is not out:
            out.copy_(d_z)

    def priced_d_s(self, slopes: Slopes) -> tuple[Tensor | None, float]:
        """q (C', v) and a price whose product is dL/ds per unit of weight, through the map terms."""
        if self.linear_map is not None:
            return self.linear_map, float(slopes.terms[-1])
        q = self.d_s(slopes, None)
        return None if q is None else by_rows(q), 1.0


def linear(request: Request) -> MapTerm | None:
    """The only map term, if its formula is the probability times a map."""
    terms = request.map_terms
    return terms[0] if len(terms) == 1 and terms[0].linear else None


def by_rows(x: Tensor) -> Tensor:
    """The same (C, v) with the voxels of a class side by side."""
    return x if x.stride(1) == 1 else x.contiguous()


def stride_of(rows: Tensor | None) -> int:
    return 0 if rows is None else rows.stride(0)


class CompiledExclusive(CompiledChunk):
    forward, backward = "lo_softmax", "lo_gradient"

    @staticmethod
    def numbers(classes: int) -> int:
        return 8

    def read_truth(self, truth: Truth) -> None:
        read_labels(self, truth)
        self.given = (self.labels.contiguous(), None if self.weight is None else self.weight.contiguous())

    def g(self) -> Tensor:
        g = torch.empty(self.z.shape, dtype=self.dtype)
        native.call("lo_one_hot", self.given[0], *g.shape, g)
        return g


class CompiledRegions(CompiledChunk):
    forward, backward = "lo_sigmoid", "lo_region_gradient"

    @staticmethod
    def numbers(classes: int) -> int:
        return 10 * classes

    def read_truth(self, truth: Truth) -> None:
        assert truth.regions is not None
        regions = truth.regions[self.sample, :, self.where]
        inside = by_rows(regions if regions.dtype == torch.bool else regions > 0.5)
        if self.request.voxel_terms:
            self.labels, self.classes = inside.long(), torch.arange(len(inside))[:, None]
        self.inside = inside
        self.given = (inside, inside.stride(0), *self.weights())

    def weights(self) -> tuple[Tensor | None, int]:
        """The weights by rows, and how far a channel's lie from the next one's: 0 where channels share them."""
        if self.weight is None:
            return None, 0
        rows = by_rows(self.weight)
        return rows, rows.stride(0) if len(rows) > 1 else 0

    def g(self) -> Tensor:
        return self.inside.to(self.dtype)
