"""A chunk under softmax: every voxel has one true class.

The exponentials e = 2^(z log2(e) - max) stay unnormalised, s = r e with r = 1 / sum e: sums over classes are then
matrix-vector products. With q = dL/ds and h = dL/d(log_p) the gradient is s (q - sum_k s_k q_k) + h ([truth] - s).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossodyssey.kernels.chunk import Chunk, Upstream
from lossodyssey.kernels.chunk_pass import ChunkPass
from lossodyssey.kernels.plain import known_labels

LOG2_E = math.log2(math.e)


def labels_and_weight(chunk: Chunk) -> tuple[Tensor, Tensor | None]:
    """Return the labels (1, v), and the weights (1, v), 0 where a label is ignored; None where all count alike."""
    assert chunk.truth.labels is not None
    raw, weight = chunk.truth.labels[chunk.sample, chunk.where], chunk.given_weight()
    if chunk.truth.ignore is not None:
        valid = (raw != chunk.truth.ignore).to(chunk.dtype)[None]
        weight = valid if weight is None else weight * valid
    return known_labels(raw, chunk.truth.ignore)[None], weight


def log_share(x_true: Tensor, e_true: Tensor, others: Tensor) -> Tensor:
    """Return ln p (v,) of the truth with e_true = 2^x_true, where the other exponentials sum to `others`.

    The logarithm of 1 + others / e_true keeps the digits of a confident voxel, whose p is rounded to 1.
    """
    near = -torch.log1p(others / e_true.clamp(min=1e-30))
    far = (x_true - (e_true + others).log2()).mul_(1 / LOG2_E)
    return torch.where(e_true > others, near, far)


class ExclusivePass(ChunkPass):
    def __init__(self, chunk: Chunk) -> None:
        super().__init__(chunk)
        self.labels, self.weight = labels_and_weight(chunk)
        self.classes, z = self.labels, chunk.counted_z(self.weight)
        # exp2 costs half of exp.
        x = torch.empty(z.shape, dtype=chunk.dtype, device=z.device)
        torch.sub(z, z.amax(0), out=x).mul_(LOG2_E)
        self.at_truth = torch.add(chunk.positions, self.labels[0], alpha=x.shape[1])
        x_true = x.view(-1).index_select(0, self.at_truth)
        self.e, e_true = x.exp2_(), x_true.exp2()
        self.others = self.false(self.e.clone()).sum(0) if self.wants_log_p() else None
        t = self.e.sum(0)
        self.r = t.reciprocal()
        self.p = e_true * self.r
        if self.others is not None:
            self.log_p = log_share(x_true, e_true, self.others)[None]

    def wants_log_p(self) -> bool:
        return self.request.log_p or bool(self.request.voxel_terms)

    def false(self, x: Tensor) -> Tensor:
        """Set x (C, v) to 0 at the true class of every voxel."""
        x.view(-1).index_fill_(0, self.at_truth, 0)
        return x

    def s(self) -> Tensor:
        return self.e * self.r

    def g(self) -> Tensor:
        return torch.zeros_like(self.e).scatter_(0, self.labels, 1)

    def per_class(self, values: Tensor) -> Tensor:
        """Return the weighted sums (C,) of the values (v,) over the voxels of each class."""
        zeros = torch.zeros(len(self.e), dtype=self.chunk.wide, device=values.device)
        return zeros.index_add_(0, self.labels[0], self.weighted(values).to(self.chunk.wide))

    def truths(self) -> Tensor:
        if self.weight is None:
            return torch.bincount(self.labels[0], minlength=len(self.e))
        return self.per_class(torch.ones_like(self.r))

    def truths_under(self, m: Tensor, first: int) -> Tensor:
        at = (self.labels - first).clamp(0, len(m) - 1)
        return self.per_class(m.gather(0, at)[0])[first:]

    def sums(self) -> list[Tensor]:
        if not self.request.table:
            return []
        f = self.weighted(self.r)
        # Not a matrix-vector product: equal summands would all be rounded to the same side.
        s = self.false(self.e * f)
        columns = [s.sum(1), self.per_class(self.p)]
        if self.request.squares:
            columns += [s.mul_(self.e).mul_(self.r).sum(1), self.per_class(self.p * self.p)]
        return [column.to(self.chunk.wide) for column in columns]

    def gradient(self, upstream: Upstream) -> Tensor:
        h, q = self.d_log_p(upstream), self.d_s(upstream)
        mean = at_truth = torch.zeros_like(self.p)
        if q is not None:
            mean = mean + torch.linalg.vecdot(self.e[self.request.first :], q, dim=0) * self.r
        if self.request.table:
            of_false, of_true = self.table_means(upstream.sums[self.chunk.sample].to(self.chunk.dtype))
            at_truth = at_truth + of_true
            mean = mean + of_true + of_false
        d_z = self.over_e(upstream, q, -mean * self.r).mul_(self.e)
        d_z.view(-1).index_add_(0, self.at_truth, at_truth)
        return d_z if h is None else d_z.add_(self.through_log_p(h[0]))

    def through_log_p(self, h: Tensor) -> Tensor:
        """Return h ([truth] - s) (C, v); 1 - s of the truth is the sum of the others, which keeps its digits."""
        assert self.others is not None
        h_over_t = h * self.r
        return (self.e * -h_over_t).view(-1).index_copy_(0, self.at_truth, h_over_t * self.others).view_as(self.e)

    def table_means(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Return sum_k s_k q_k (v,) through the table a (C, k): by sums over false voxels, and over true ones."""
        e = self.false(self.e.clone())
        of_false, true = torch.mv(e.t(), a[:, 0]), a[:, 1].index_select(0, self.labels[0])
        if self.request.squares:
            of_false = of_false + 2 * self.r * torch.mv(e.square_().t(), a[:, 2])
            true = true + 2 * self.p * a[:, 3].index_select(0, self.labels[0])
        return self.weighted(of_false * self.r), self.weighted(self.p * true)

    def over_e(self, upstream: Upstream, q: Tensor | None, rest: Tensor) -> Tensor:
        """Return r q + rest, (C, v): the gradient divided by e, without what is added at the truth."""
        d = self.over_e_of_table(upstream, rest) if self.request.table else rest.expand_as(self.e).clone()
        if q is not None:
            d[self.request.first :].addcmul_(q, self.r)
        return d

    def over_e_of_table(self, upstream: Upstream, rest: Tensor) -> Tensor:
        a, f = upstream.sums[self.chunk.sample].to(self.chunk.dtype), self.weighted(self.r)
        d = a[:, :1] * f
        if self.request.squares:
            d.addcmul_(self.e * (2 * a[:, 2:3]), f * self.r)
        # Not taken off again at the truth: of a class that fills a sample it may be 1 / smooth times all the rest.
        return self.false(d).add_(rest)
