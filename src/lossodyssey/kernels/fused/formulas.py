"""The formulas of a request around the kernels: their sums, and their gradients by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey.kernels.plain import expected_over_labels, fit, one_hot, states, voxel_weight, weight_from
from lossodyssey.kernels.request import Request, Truth, accumulator, compute_dtype
from lossodyssey.kernels.terms import gradient_of


@dataclass(frozen=True)
class Formulas:
    """The formulas of a request on logits (N, C, V)."""

    logits: Tensor
    truth: Truth
    request: Request

    def sums(self, log_p: Tensor, s: Tensor | None) -> Tensor:
        """Return the sum of every voxel term, given log_p (N, E, V), and of every map term, given s (N, C', V)."""
        wide, weights = accumulator(self.logits), self._weights()
        values = self._voxel_values(log_p) + self._map_values(s)
        sums = [
            (value if weight is None else value * weight).sum(dtype=wide)
            for value, weight in zip(values, weights, strict=True)
        ]
        return torch.stack(sums) if sums else self.logits.new_zeros(0, dtype=wide)

    def expected(self, log_p: Tensor) -> Tensor:
        """Return log_p (N, 1 or C, V), expected over soft labels, or an empty tensor where it is not asked for."""
        if not self.request.log_p or not self.truth.soft:
            return log_p if self.request.log_p else log_p[:, :0]
        return expected_over_labels(log_p * self._share(), self.logits.shape[1], self.truth.sigmoid)

    def d_log_p(self, log_p: Tensor | None, d_terms: Tensor, d_log_p: Tensor) -> Tensor | None:
        """Return dL/d(log_p) (N, E, V) through the voxel formulas and the log_p that was handed out."""
        direct = self._direct(d_log_p) if self.request.log_p else None
        if not self.request.voxel_terms:
            return direct
        assert log_p is not None
        with torch.enable_grad():
            values = self._voxel_values(log_p.requires_grad_())
        h = gradient_of(values, log_p, self._seeds(values, d_terms))
        return h if direct is None else h + direct

    def d_s(self, s: Tensor | None, d_terms: Tensor) -> Tensor | None:
        """Return dL/ds (N, C', V) through the map formulas, without the weights of the voxels."""
        if not self.request.map_terms:
            return None
        assert s is not None
        with torch.enable_grad():
            values = self._map_values(s.requires_grad_())
        seeds = d_terms[len(self.request.voxel_terms) :].to(s.dtype)
        return gradient_of(values, s, [d.expand_as(x) for d, x in zip(seeds, values, strict=True)])

    def _direct(self, d_log_p: Tensor) -> Tensor:
        weight = self._voxel_weight()
        if weight is not None:
            # log_p is handed out without weights: the upstream gradient of voxels that do not count ends here.
            d_log_p = torch.where(weight > 0, d_log_p, 0)
        if not self.truth.soft:
            return d_log_p
        share = self._share()
        return share * (fit(d_log_p, share) if self.truth.sigmoid else d_log_p)

    def _seeds(self, values: list[Tensor], d_terms: Tensor) -> list[Tensor]:
        """Return dL/d(values) of the voxel terms, given the upstream gradients of the sums."""
        return [
            (d if weight is None else weight * d).to(x.dtype).expand_as(x)
            for x, d, weight in zip(values, d_terms, self._weights(), strict=False)
        ]

    def _weights(self) -> list[Tensor | None]:
        """Return the weights of the values of every term, in the order of the terms."""
        weight = self._voxel_weight()
        of_maps = [None if weight is None else weight_from(weight, term.first) for term in self.request.map_terms]
        of_voxels = weight
        if self.request.voxel_terms and self.truth.soft:
            share = self._share()
            of_voxels = share if weight is None else share * fit(weight, share)
        return [of_voxels for _ in self.request.voxel_terms] + of_maps

    def _voxel_weight(self) -> Tensor | None:
        return voxel_weight(self.truth, compute_dtype(self.logits))

    def _states(self) -> tuple[Tensor, Tensor, Tensor | None]:
        # Of labels no more than the shape of their one-hot form is needed, which the logits have.
        return states(self.truth, self.logits if self.truth.regions is None else one_hot(self.truth, self._z()))

    def _share(self) -> Tensor:
        """Return what a voxel has of each class, which soft labels say."""
        share = self._states()[2]
        assert share is not None
        return share

    def _z(self) -> Tensor:
        """Return a tensor of the logits' shape in the dtype of arithmetic, for its shape and dtype alone."""
        return self.logits.new_empty(1, dtype=compute_dtype(self.logits)).expand(self.logits.shape)

    def _voxel_values(self, log_p: Tensor) -> list[Tensor]:
        if not self.request.voxel_terms:
            return []
        labels, classes, _ = self._states()
        return [
            term.formula(log_p, labels, classes, *(fit(m, log_p) for m in term.maps))
            for term in self.request.voxel_terms
        ]

    def _map_values(self, s: Tensor | None) -> list[Tensor]:
        """Return the values (N, C', V) of every map term, given the probabilities of the request's classes."""
        if not self.request.map_terms:
            return []
        assert s is not None
        g, first, values = one_hot(self.truth, self._z()), self.request.first, []
        for term in self.request.map_terms:
            kept = slice(term.first, None)
            values.append(term.formula(s[:, term.first - first :], g[:, kept], *(m[:, kept] for m in term.maps)))
        return values
