"""The walk in compiled code: chunks as in `chunked`, each of them one call that never leaves the processor's cache.

For softmax over float32 and half precision on the CPU; regions and float64 go the way of `chunked`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import chunked
from lossodyssey.kernels.chunk import Part, Slopes
from lossodyssey.kernels.exclusive import ExclusiveChunk
from lossodyssey.kernels.request import Answer, Request, Truth

CHUNK_VALUES = 1 << 20
LEAST_VOXELS, MOST_VOXELS = 1 << 15, 1 << 18
LEAST_CHUNKS = 16
"""A chunk costs a third of a millisecond in PyTorch's operations around the compiled ones, whatever its size; what it
allocates is a few numbers per voxel, and little beside the gradient where the batch is divided into this many."""


def walk(logits: Tensor, truth: Truth, request: Request) -> Answer:
    """Answer `request` for logits (N, C, V) and a hard truth."""
    return chunked.walk(logits, truth, request, CompiledChunk if fits(logits, truth) else ExclusiveChunk)


def fits(logits: Tensor, truth: Truth) -> bool:
    """Whether there is compiled code for this input."""
    exclusive = logits.device.type == "cpu" and logits.dtype != torch.float64 and not truth.sigmoid
    return exclusive and native.library() is not None


class CompiledChunk(ExclusiveChunk):
    @staticmethod
    def size(logits: Tensor, threads: int) -> int:
        samples, classes, voxels = logits.shape
        share = samples * voxels // max(LEAST_CHUNKS, 4 * threads)
        return max(1024, min(CHUNK_VALUES // classes, max(LEAST_VOXELS, share), MOST_VOXELS))

    def read(self, z: Tensor, truth: Truth) -> None:
        self.read_labels(truth)
        self.z = z if z.stride(1) == 1 else z.contiguous()
        weight = None if self.weight is None else self.weight.contiguous()
        self.truth = (self.labels.contiguous(), weight, *z.shape)
        wanted = self.request.log_p or bool(self.request.voxel_terms)
        self.log_p = torch.empty((1, z.shape[1] if wanted else 0), dtype=self.dtype)

    def softmax(self, out: Tensor | None, table: Tensor | None) -> None:
        """Write the probabilities to `out`, add the sums to `table` (C, 5), take the log-probability if asked for."""
        if out is not None:
            self.probability = out
        stride = 0 if out is None else out.stride(0)
        native.call("lo_softmax", self.z, self.z.stride(0), *self.truth, out, stride, table, self.log_p)

    def s(self) -> Tensor:
        return self.probability

    def g(self) -> Tensor:
        g = torch.empty(self.z.shape, dtype=self.dtype)
        native.call("lo_one_hot", self.truth[0], *g.shape, g)
        return g

    def part(self) -> Part:
        self.table = torch.zeros((len(self.z), 5), dtype=self.wide)
        self.softmax(torch.empty_like(self.z) if self.request.map_terms else None, self.table)
        return super().part()

    def sums(self) -> list[Tensor]:
        columns = (4 if self.request.squares else 2) if self.request.table else 0
        return list(self.table[:, :columns].unbind(1))

    def truths(self) -> Tensor:
        return self.table[:, 4]

    def write(self, slopes: Slopes, out: Tensor) -> None:
        d_z = out if out.dtype == self.dtype and out.stride(1) == 1 else torch.empty_like(self.z)
        self.softmax(d_z, None)
        h, q = (None if x is None else x.contiguous() for x in (self.d_log_p(slopes), self.d_s(slopes)))
        a = torch.zeros((len(self.z), 4), dtype=self.dtype)
        a[:, : slopes.sums.shape[2]] = slopes.sums[self.sample]
        native.call("lo_gradient", d_z, d_z.stride(0), *self.truth, a, h, q, self.request.first)
        if d_z is not out:
            out.copy_(d_z)
