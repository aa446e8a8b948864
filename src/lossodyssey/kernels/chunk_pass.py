"""The pass over one chunk by PyTorch's operations: the part that softmax and sigmoid share."""

from __future__ import annotations

import torch
from torch import Tensor

from lossodyssey.kernels.chunk import Chunk, Method, Part, Upstream, chunk_size, stacked, weighted
from lossodyssey.kernels.terms import Terms


class ChunkPass:
    """Abstract: a chunk's probabilities, sums and gradient. The constructor computes the probabilities.

    `labels` and `log_p` are (E, v), `classes` (E, v) or (E, 1), `weight` (1 or C, v) or None where all count alike.
    """

    labels: Tensor
    classes: Tensor
    log_p: Tensor
    weight: Tensor | None

    def __init__(self, chunk: Chunk) -> None:
        self.chunk, self.request = chunk, chunk.request

    @classmethod
    def method(cls) -> Method:
        """Return how chunks of this link are computed."""
        return Method(
            forward=lambda chunk: cls(chunk).part(),
            backward=lambda chunk, upstream, out: cls(chunk).write(upstream, out),
            size=chunk_size,
            alone=True,
        )

    def write(self, upstream: Upstream, out: Tensor) -> None:
        """Write dL/dz to `out` (C, v)."""
        out.copy_(self.gradient(upstream))

    def s(self) -> Tensor:
        """Return the probabilities (C, v)."""
        raise NotImplementedError("abstract")

    def g(self) -> Tensor:
        """Return the truth (C, v) per class."""
        raise NotImplementedError("abstract")

    def sums(self) -> list[Tensor]:
        """Return the columns (C,) of the table that were asked for."""
        raise NotImplementedError("abstract")

    def truths(self) -> Tensor:
        """Return the true voxels (C,) per class."""
        raise NotImplementedError("abstract")

    def truths_under(self, m: Tensor, first: int) -> Tensor:
        """Return the sums (C',) of g times a map m (1 or C', v) of the classes from `first` on."""
        raise NotImplementedError("abstract")

    def gradient(self, upstream: Upstream) -> Tensor:
        """Return dL/dz (C, v)."""
        raise NotImplementedError("abstract")

    def part(self) -> Part:
        """Return this chunk's share of the statistics."""
        terms, table = self.terms(), self.table()
        # In the order of `Statistics.terms`: voxel terms, then map terms.
        sums = terms.voxel_sums(self.log_p) if self.request.voxel_terms else []
        if self.request.map_terms:
            sums += terms.map_sums(self.s(), self.g())
        log_p = self.log_p if self.request.log_p else table.new_empty(0)
        return Part(table, self.chunk.voxels(self.weight), stacked(sums, table), log_p)

    def table(self) -> Tensor:
        """Return the sums (C, 5 + 2M) per class."""
        truths, maps = self.truths(), self.chunk.maps()
        table = torch.zeros((len(truths), 5 + 2 * len(maps)), dtype=self.chunk.wide, device=truths.device)
        for k, column in enumerate(self.sums()):
            table[:, k] = column
        # Columns 0 to 3 are the sums of s over false and true voxels, see `Part`.
        table[:, 4] = truths
        for k, (term, m) in enumerate(zip(self.request.map_sums, maps, strict=True)):
            table[term.first :, 5 + k] = weighted(self.s()[term.first :] * m, self.weight, term.first).sum(1)
            table[term.first :, 5 + len(maps) + k] = self.truths_under(m, term.first)
        return table

    def terms(self) -> Terms:
        return Terms(self.chunk, self.labels, self.classes, self.weight)

    def weighted(self, values: Tensor) -> Tensor:
        """Return values (C, v) or (v,) times the weights of their voxels."""
        return weighted(values, self.weight)

    def d_log_p(self, upstream: Upstream) -> Tensor | None:
        """Return dL/d(log_p) (E, v); None where it is 0."""
        asked = self.request.log_p or self.request.voxel_terms
        return self.terms().d_log_p(upstream, self.log_p) if asked else None

    def d_s(self, upstream: Upstream) -> Tensor | None:
        """Return dL/ds (C', v) of the classes from the request's first on, through map terms and sums under maps."""
        d_s = self.terms().d_s(upstream, self.s(), self.g(), self.weight) if self.request.map_terms else None
        if not self.request.map_sums:
            return d_s
        under_maps = self.d_s_under_maps(upstream)
        return under_maps if d_s is None else d_s + under_maps

    def d_s_under_maps(self, upstream: Upstream) -> Tensor:
        """Return dL/ds (C', v) of the classes from the request's first on, through the sums under maps."""
        first, a = self.request.first, upstream.map_sums[self.chunk.sample].to(self.chunk.dtype)
        d_s = torch.zeros((len(a) - first, len(self.chunk.positions)), dtype=a.dtype, device=a.device)
        for k, (term, m) in enumerate(zip(self.request.map_sums, self.chunk.maps(), strict=True)):
            # d/ds of sum m s is m; the gradients of a map's classes come from the first on.
            d_s[term.first - first :] += weighted(a[term.first :, k : k + 1] * m, self.weight, term.first)
        return d_s
