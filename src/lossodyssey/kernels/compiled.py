"""The walk in compiled code: chunks as in `chunked`, each of them one call that never leaves the processor's cache.

For float32 and half precision on the CPU; float64 goes the way of `chunked`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import chunked
from lossodyssey.kernels.chunk import Chunk, Part, Slopes
from lossodyssey.kernels.exclusive import read_labels
from lossodyssey.kernels.request import Answer, Request, Truth

CHUNK_VALUES = 1 << 20
LEAST_VOXELS, MOST_VOXELS = 1 << 15, 1 << 18
LEAST_CHUNKS = 16
"""A chunk costs a third of a millisecond in PyTorch's operations around the compiled ones, whatever its size; what it
allocates is a few numbers per voxel, and little beside the gradient where the batch is divided into this many."""


def walk(logits: Tensor, truth: Truth, request: Request) -> Answer:
    """Answer `request` for logits (N, C, V) and a hard truth."""
    if not fits(logits):
        return chunked.walk(logits, truth, request)
    return chunked.walk(logits, truth, request, CompiledRegions if truth.sigmoid else CompiledExclusive)


def fits(logits: Tensor) -> bool:
    """Whether there is compiled code for these logits."""
    return logits.device.type == "cpu" and logits.dtype != torch.float64 and native.library() is not None


class CompiledChunk(Chunk):
    """Abstract: the compiled functions `forward` and `backward` take the truth as `self.given`."""

    forward: ClassVar[str]
    backward: ClassVar[str]
    given: tuple[Tensor | int | None, ...]

    @staticmethod
    def size(logits: Tensor, threads: int) -> int:
        samples, classes, voxels = logits.shape
        share = samples * voxels // max(LEAST_CHUNKS, 4 * threads)
        return max(1024, min(CHUNK_VALUES // classes, max(LEAST_VOXELS, share), MOST_VOXELS))

    def read(self, z: Tensor, truth: Truth) -> None:
        self.z = z if z.stride(1) == 1 else z.contiguous()
        self.read_truth(truth)
        wanted = self.request.log_p or bool(self.request.voxel_terms)
        elements = len(z) if truth.sigmoid else 1
        self.log_p = torch.empty((elements, z.shape[1] if wanted else 0), dtype=self.dtype)

    def read_truth(self, truth: Truth) -> None:
        raise NotImplementedError("abstract")

    def probabilities(self, out: Tensor | None, table: Tensor | None) -> None:
        """Write s (C, v) to `out`, add the sums to `table` (C, 5), and take the log-probability if asked for."""
        if out is not None:
            self.probability = out
        stride = 0 if out is None else out.stride(0)
        log_p = self.log_p if self.log_p.numel() else None
        native.call(self.forward, self.z, self.z.stride(0), *self.given, *self.z.shape, out, stride, table, log_p)

    def s(self) -> Tensor:
        return self.probability

    def part(self) -> Part:
        self.table = torch.zeros((len(self.z), 5), dtype=self.wide)
        self.probabilities(torch.empty_like(self.z) if self.request.map_terms else None, self.table)
        return super().part()

    def sums(self) -> list[Tensor]:
        columns = (4 if self.request.squares else 2) if self.request.table else 0
        return list(self.table[:, :columns].unbind(1))

    def truths(self) -> Tensor:
        return self.table[:, 4]

    def write(self, slopes: Slopes, out: Tensor) -> None:
        d_z = out if out.dtype == self.dtype and out.stride(1) == 1 else torch.empty_like(self.z)
        self.probabilities(d_z, None)
        h, q = (None if x is None else x.contiguous() for x in (self.d_log_p(slopes), self.d_s(slopes)))
        a = torch.zeros((len(self.z), 4), dtype=self.dtype)
        a[:, : slopes.sums.shape[2]] = slopes.sums[self.sample]
        native.call(self.backward, d_z, d_z.stride(0), *self.given, *self.z.shape, a, h, q, self.request.first)
        if d_z is not out:
            out.copy_(d_z)


class CompiledExclusive(CompiledChunk):
    forward, backward = "lo_softmax", "lo_gradient"

    def read_truth(self, truth: Truth) -> None:
        read_labels(self, truth)
        self.given = (self.labels.contiguous(), None if self.weight is None else self.weight.contiguous())

    def g(self) -> Tensor:
        g = torch.empty(self.z.shape, dtype=self.dtype)
        native.call("lo_one_hot", self.given[0], *g.shape, g)
        return g


class CompiledRegions(CompiledChunk):
    forward, backward = "lo_sigmoid", "lo_region_gradient"

    def read_truth(self, truth: Truth) -> None:
        assert truth.regions is not None
        regions = truth.regions[self.sample, :, self.where]
        inside = regions if regions.dtype == torch.bool and regions.stride(1) == 1 else (regions > 0.5).contiguous()
        if self.request.voxel_terms:
            self.labels, self.classes = inside.long(), torch.arange(len(inside))[:, None]
        self.inside = inside
        self.given = (inside, inside.stride(0), None if self.weight is None else self.weight.contiguous())

    def g(self) -> Tensor:
        return self.inside.to(self.dtype)
