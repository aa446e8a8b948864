"""A chunk under sigmoid: every channel is a region of its own.

With q = dL/ds and h = dL/d(log_p) the gradient is s (1 - s) q + h (g - s).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.kernels.chunk import Chunk, Upstream, weighted
from lossodyssey.kernels.chunk_pass import ChunkPass


class RegionsPass(ChunkPass):
    def __init__(self, chunk: Chunk) -> None:
        super().__init__(chunk)
        assert chunk.truth.regions is not None
        self.inside, self.weight = chunk.part_of(chunk.truth.regions) > 0.5, chunk.given_weight()
        inside = self.inside
        self.labels, self.truth, z = inside.long(), inside.to(chunk.dtype), chunk.counted_z(self.weight)
        self.classes = torch.arange(len(z), device=z.device)[:, None]
        self.probability = torch.sigmoid(z)
        if self.request.log_p or self.request.voxel_terms:
            self.log_p = F.logsigmoid(torch.where(inside, z, -z))

    def s(self) -> Tensor:
        return self.probability

    def g(self) -> Tensor:
        return self.truth

    def total(self, x: Tensor) -> Tensor:
        """Return the weighted sums (C,) over the voxels of x (C, v)."""
        return self.weighted(x).sum(1).to(self.chunk.wide)

    def truths(self) -> Tensor:
        return self.total(self.truth)

    def truths_under(self, m: Tensor, first: int) -> Tensor:
        return weighted(self.truth[first:] * m, self.weight, first).sum(1)

    def sums(self) -> list[Tensor]:
        if not self.request.table:
            return []
        s, s_true = self.probability, self.probability * self.truth
        s_false = self.probability * (1 - self.truth)
        columns = [self.total(s_false), self.total(s_true)]
        return [*columns, self.total(s_false * s), self.total(s_true * s)] if self.request.squares else columns

    def gradient(self, upstream: Upstream) -> Tensor:
        s = self.probability
        h, q = self.d_log_p(upstream), self.d_s(upstream)
        d_s = torch.zeros_like(s)
        if self.request.table:
            d_s = self.weighted(self.through_table(upstream.sums[self.chunk.sample].to(self.chunk.dtype)))
        if q is not None:
            d_s[self.request.first :] += q
        d_z = d_s * (s - s * s)
        if h is None:
            return d_z
        # 1 - p of the true state, from its logarithm: the difference would keep few digits of a confident voxel.
        missed = torch.expm1(self.log_p).neg_()
        return d_z.addcmul_(h, torch.where(self.inside, missed, -missed))

    def through_table(self, a: Tensor) -> Tensor:
        """Return dL/ds (C, v) through the table a (C, k), whose columns are of false and of true voxels in turn."""
        d_s = torch.where(self.inside, a[:, 1:2], a[:, :1])
        if self.request.squares:
            d_s = d_s + 2 * self.probability * torch.where(self.inside, a[:, 3:4], a[:, 2:3])
        return d_s
