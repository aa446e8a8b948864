"""The formulas of a request on the voxels of one chunk: their sums, and their gradients by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey.kernels.chunk import Chunk, Upstream, weighted
from lossodyssey.kernels.plain import weight_from


@dataclass(frozen=True)
class Terms:
    """The formulas on a chunk: `labels` (E, v), `classes` (E, v) or (E, 1), `weight` (1 or C, v) or None."""

    chunk: Chunk
    labels: Tensor
    classes: Tensor
    weight: Tensor | None

    def voxel_sums(self, log_p: Tensor) -> list[Tensor]:
        """Return the sum of every voxel term, given log_p (E, v)."""
        return [self._sum(self._voxel_values(k, log_p)) for k in range(len(self.chunk.request.voxel_terms))]

    def map_sums(self, s: Tensor, g: Tensor) -> list[Tensor]:
        """Return the sum of every map term, given s and g (C, v)."""
        request = self.chunk.request
        values = self._map_values(s[request.first :], g)
        return [self._sum(value, term.first) for value, term in zip(values, request.map_terms, strict=True)]

    def d_log_p(self, upstream: Upstream, log_p: Tensor) -> Tensor | None:
        """Return dL/d(log_p) (E, v), by autograd through the voxel formulas alone; None where it is 0."""
        request = self.chunk.request
        direct = self.chunk.part_of(upstream.log_p) if request.log_p else None
        if direct is not None and self.weight is not None:
            direct = torch.where(self.weight > 0, direct, 0)
        if not request.voxel_terms:
            return direct
        with torch.enable_grad():
            log_p = log_p.detach().requires_grad_()
            values = [self._voxel_values(k, log_p) for k in range(len(request.voxel_terms))]
        gradient = _pull_back(values, log_p, self._seeds(upstream.terms[: len(values)], self.weight, [0] * len(values)))
        return gradient if direct is None else gradient + direct

    def d_s(self, upstream: Upstream, s: Tensor, g: Tensor, weight: Tensor | None) -> Tensor:
        """Return dL/ds (C', v) of the classes from the request's first on, by autograd through the map formulas alone.

        Voxels count by the `weight`.
        """
        request = self.chunk.request
        with torch.enable_grad():
            s = s[request.first :].detach().requires_grad_()
            values = self._map_values(s, g)
        firsts = [term.first for term in request.map_terms]
        return _pull_back(values, s, self._seeds(upstream.terms[len(request.voxel_terms) :], weight, firsts))

    def _sum(self, values: Tensor, first: int = 0) -> Tensor:
        """Sum in the values' own dtype along voxels: a sum in another dtype makes a copy first."""
        return weighted(values, self.weight, first).sum(-1).sum(dtype=self.chunk.wide)

    def _voxel_values(self, k: int, log_p: Tensor) -> Tensor:
        term = self.chunk.request.voxel_terms[k]
        return term.formula(log_p, self.labels, self.classes, *map(self.chunk.part_of, term.maps))

    def _map_values(self, s: Tensor, g: Tensor) -> list[Tensor]:
        """Return the values (C', v) of every map term, given the probabilities from the first of their classes on."""
        request, values = self.chunk.request, []
        for term in request.map_terms:
            maps = [self.chunk.part_of(m, term.first) for m in term.maps]
            values.append(term.formula(s[term.first - request.first :], g[term.first :], *maps))
        return values

    def _seeds(self, gradients: Tensor, weight: Tensor | None, firsts: list[int]) -> list[Tensor]:
        """Return dL/d of the values of each term, given those of the sums."""
        seeds = list(gradients.to(self.chunk.dtype))
        if weight is None:
            return seeds
        return [seed * weight_from(weight, first) for seed, first in zip(seeds, firsts, strict=True)]


def _pull_back(values: list[Tensor], source: Tensor, seeds: list[Tensor]) -> Tensor:
    return gradient_of(values, source, [seed.expand_as(value) for seed, value in zip(seeds, values, strict=True)])


def gradient_of(values: list[Tensor], source: Tensor, seeds: list[Tensor]) -> Tensor:
    """Return d/d(source) of the sums of the values times the seeds; values may be constants."""
    moving = [k for k, value in enumerate(values) if value.requires_grad]
    if not moving:
        return torch.zeros_like(source)
    return torch.autograd.grad([values[k] for k in moving], source, [seeds[k] for k in moving])[0]
