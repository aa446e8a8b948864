"""The walk in chunks of voxels that fit the cache: no one-hot, no stored softmax.

Forward and backward each read the logits once; backward recomputes the softmax and writes the gradient, the only
tensor of the logits' size that is ever made. With q = dL/ds and h = dL/d(log_p), the gradient is
s (q - sum_k s_k q_k) + h ([truth] - s) under softmax and s (1 - s) q + h (g - s) under sigmoid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.kernels import plain
from lossodyssey.kernels.request import Answer, MapTerm, Request, Truth, accumulator, compute_dtype

CACHE_VALUES = 1 << 18
"""Logits of a chunk: one megabyte in float32, about a core's second-level cache."""


def walk(logits: Tensor, truth: Truth, request: Request) -> Answer:
    """Answer `request` for logits (N, C, V) and a hard truth."""
    sums, terms, log_p, truths, voxels = _Walk.apply(logits, truth, request)  # type: ignore[no-untyped-call]
    return Answer(sums, truths, voxels, terms, log_p if request.log_p else None)


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request = truth, request
        total = _Totals(logits, truth, request)
        for chunk in _chunks(logits, truth, request):
            total.add(chunk)
        ctx.mark_non_differentiable(total.truths, total.voxels)
        return total.sums, total.terms, total.log_p, total.truths, total.voxels

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_terms: Tensor, d_log_p: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request = ctx.truth, ctx.request
        if torch.is_grad_enabled():
            return _differentiable_backward(logits, truth, request, (d_sums, d_terms, d_log_p)), None, None
        gradient = torch.empty_like(logits)
        with torch.autocast(logits.device.type, enabled=False):
            for chunk in _chunks(logits, truth, request):
                chunk.backward(gradient, d_sums, d_terms, d_log_p if request.log_p else None)
        return gradient, None, None


def _differentiable_backward(logits: Tensor, truth: Truth, request: Request, gradients: tuple[Tensor, ...]) -> Tensor:
    answer = plain.walk(logits, truth, request)
    outputs = [answer.sums, answer.terms] + ([answer.log_p] if answer.log_p is not None else [])
    asked = [(x, g) for x, g in zip(outputs, gradients, strict=False) if x.requires_grad]
    return torch.autograd.grad([x for x, _ in asked], logits, [g for _, g in asked], create_graph=True)[0]


class _Totals:
    """The sums over all chunks."""

    def __init__(self, logits: Tensor, truth: Truth, request: Request) -> None:
        wide, (samples, classes, voxels) = accumulator(logits), logits.shape
        columns = (2 if request.table else 0) + (2 if request.squares else 0)
        self.sums = torch.zeros((samples, classes, columns), dtype=wide, device=logits.device)
        self.truths = torch.zeros((samples, classes), dtype=wide, device=logits.device)
        self.voxels = torch.zeros(samples, dtype=wide, device=logits.device)
        self.terms = torch.zeros(len(request.voxel_terms) + len(request.map_terms), dtype=wide, device=logits.device)
        elements = (classes if truth.sigmoid else 1) if request.log_p else 0
        self.log_p = torch.empty((samples, elements, voxels), dtype=compute_dtype(logits), device=logits.device)

    def add(self, chunk: _Chunk) -> None:
        n = chunk.sample
        if chunk.request.table:
            self.sums[n] += chunk.sums()
        self.truths[n] += chunk.truths()
        self.voxels[n] += chunk.voxels()
        for k, value in enumerate(chunk.terms()):
            self.terms[k] += value
        if chunk.request.log_p:
            self.log_p[n, :, chunk.where] = chunk.log_p


def _chunks(logits: Tensor, truth: Truth, request: Request) -> Iterator[_Chunk]:
    samples, classes, voxels = logits.shape
    size = max(1024, CACHE_VALUES // classes)
    kind = _SigmoidChunk if truth.sigmoid else _SoftmaxChunk
    for n in range(samples):
        for start in range(0, voxels, size):
            yield kind(logits, truth, request, n, slice(start, min(start + size, voxels)))


class _Chunk:
    """Some voxels of one sample: their probabilities s (C, v), truth, sums and gradient."""

    weight: Tensor | None
    s: Tensor
    log_p: Tensor
    labels: Tensor
    classes: Tensor

    def __init__(self, logits: Tensor, truth: Truth, request: Request, sample: int, where: slice) -> None:
        self.request, self.sample, self.where = request, sample, where
        self.dtype, self.wide = compute_dtype(logits), accumulator(logits)
        weight = None if truth.weight is None else truth.weight[sample, where].to(self.dtype)
        z = logits[sample, :, where].to(self.dtype)
        self.weight = self.read(z, truth, weight)

    def read(self, z: Tensor, truth: Truth, weight: Tensor | None) -> Tensor | None:
        """Set s, log_p, labels and classes; return the voxels' weights."""
        raise NotImplementedError("abstract")

    def total(self, x: Tensor) -> Tensor:
        """Weighted sums over the voxels of x (C, v)."""
        return (x.sum(1) if self.weight is None else x @ self.weight).to(self.wide)

    def voxels(self) -> Tensor | int:
        return len(self.labels[0]) if self.weight is None else self.weight.sum().to(self.wide)

    def truths(self) -> Tensor:
        raise NotImplementedError("abstract")

    def of_truth(self, x: Tensor) -> Tensor:
        """Weighted sums (C,) over the voxels where the class is true of x (E, v)."""
        raise NotImplementedError("abstract")

    def g(self) -> Tensor:
        raise NotImplementedError("abstract")

    def sums(self) -> Tensor:
        p = self.of_true_s()
        columns = [self.total(self.s), self.of_truth(p)]
        if self.request.squares:
            columns += [self.total(self.s * self.s), self.of_truth(p * p)]
        return torch.stack(columns, 1)

    def of_true_s(self) -> Tensor:
        raise NotImplementedError("abstract")

    def terms(self) -> Iterator[Tensor]:
        for k in range(len(self.request.voxel_terms)):
            yield self.weighted(self.voxel_values(k, self.log_p)).sum().to(self.wide)
        for term in self.request.map_terms:
            yield self.weighted(self.map_values(term, self.s)).sum().to(self.wide)

    def weighted(self, values: Tensor) -> Tensor:
        return values if self.weight is None else values * self.weight

    def voxel_values(self, k: int, log_p: Tensor) -> Tensor:
        term = self.request.voxel_terms[k]
        maps = (m[self.sample, :, self.where] for m in term.maps)
        return term.formula(log_p, self.labels, self.classes, *maps)

    def map_values(self, term: MapTerm, s: Tensor) -> Tensor:
        kept = slice(term.first, None)
        maps = (m[self.sample, kept, self.where] for m in term.maps)
        return term.formula(s[kept], self.g()[kept], *maps)

    def h(self, d_terms: Tensor, d_log_p: Tensor | None) -> Tensor | None:
        """dL/d(log_p) (E, v), by autograd through the voxel formulas alone."""
        h = None if d_log_p is None else d_log_p[self.sample, :, self.where]
        if not self.request.voxel_terms:
            return h
        with torch.enable_grad():
            log_p = self.log_p.detach().requires_grad_()
            values = [
                self.weighted(self.voxel_values(k, log_p)) * d_terms[k].to(self.dtype)
                for k in range(len(self.request.voxel_terms))
            ]
            (slope,) = torch.autograd.grad(sum(v.sum() for v in values), log_p)  # type: ignore[arg-type]
        return slope if h is None else slope + h

    def d_maps(self, d_terms: Tensor) -> Tensor | None:
        """dL/ds (C, v) of the map terms, by autograd through their formulas alone."""
        if not self.request.map_terms:
            return None
        weights = d_terms[len(self.request.voxel_terms) :].to(self.dtype)
        with torch.enable_grad():
            s = self.s.detach().requires_grad_()
            values = [
                self.weighted(self.map_values(term, s)).sum() * w
                for term, w in zip(self.request.map_terms, weights, strict=True)
            ]
            return torch.autograd.grad(sum(values), s)[0]

    def q(self, d_sums: Tensor, d_terms: Tensor) -> Tensor | None:
        """dL/ds (C, v), without the part that goes through sum g s and sum g s^2."""
        q = self.d_maps(d_terms)
        if self.request.table:
            a = d_sums[self.sample].to(self.dtype)
            slope = a[:, 0, None] + 2 * a[:, 2, None] * self.s if self.request.squares else a[:, 0, None]
            slope = self.weighted(slope)
            q = slope if q is None else slope + q
        return q

    def q_true(self, d_sums: Tensor) -> Tensor | None:
        """The part of dL/ds (E, v) that goes through sum g s and sum g s^2, at the true class."""
        if not self.request.table:
            return None
        a = d_sums[self.sample].to(self.dtype)
        slope = self.per_class(a[:, 1])
        if self.request.squares:
            slope = slope + 2 * self.per_class(a[:, 3]) * self.of_true_s()
        return self.weighted(slope)

    def per_class(self, a: Tensor) -> Tensor:
        """Values a (C,) at the classes of the elements, (E, v) or (E, 1)."""
        return a[self.classes]

    def backward(self, gradient: Tensor, d_sums: Tensor, d_terms: Tensor, d_log_p: Tensor | None) -> None:
        raise NotImplementedError("abstract")


class _SoftmaxChunk(_Chunk):
    def read(self, z: Tensor, truth: Truth, weight: Tensor | None) -> Tensor | None:
        assert truth.labels is not None
        raw = truth.labels[self.sample, self.where]
        self.labels = self.classes = plain.known_labels(raw, truth.ignore)[None]
        z = z - z.amax(0)
        z_true = z.gather(0, self.labels)
        e = z.exp_()
        t = e.sum(0)
        self.s = e.div_(t)
        self.log_p = z_true - t.log_()
        return plain.voxel_weight(replace(truth, labels=raw, weight=weight), self.dtype)

    def of_true_s(self) -> Tensor:
        return self.s.gather(0, self.labels)

    def of_truth(self, x: Tensor) -> Tensor:
        zeros = torch.zeros(len(self.s), dtype=self.dtype, device=self.s.device)
        return zeros.index_add_(0, self.labels[0], self.weighted(x)[0]).to(self.wide)

    def truths(self) -> Tensor:
        if self.weight is None:
            return torch.bincount(self.labels[0], minlength=len(self.s)).to(self.wide)
        return self.of_truth(torch.ones_like(self.log_p))

    def g(self) -> Tensor:
        return torch.zeros_like(self.s).scatter_(0, self.labels, 1)

    def backward(self, gradient: Tensor, d_sums: Tensor, d_terms: Tensor, d_log_p: Tensor | None) -> None:
        q, q_true, h = self.q(d_sums, d_terms), self.q_true(d_sums), self.h(d_terms, d_log_p)
        at_truth = torch.zeros_like(self.log_p)
        mean = torch.zeros_like(self.log_p)
        if q is not None:
            mean = mean + (self.s * q).sum(0)
        if q_true is not None:
            at_truth = self.of_true_s() * q_true
            mean = mean + at_truth
        if h is not None:
            at_truth, mean = at_truth + h, mean + h
        d_z = self.s.mul_(-mean if q is None else q - mean)
        gradient[self.sample, :, self.where] = d_z.scatter_add_(0, self.labels, at_truth)


class _SigmoidChunk(_Chunk):
    def read(self, z: Tensor, truth: Truth, weight: Tensor | None) -> Tensor | None:
        assert truth.regions is not None
        self.labels = (truth.regions[self.sample, :, self.where] > 0.5).long()
        self.classes = torch.arange(len(z), device=z.device)[:, None]
        self.log_p = F.logsigmoid(torch.where(self.labels > 0, z, -z))
        self.s = torch.sigmoid(z)
        return weight

    def of_true_s(self) -> Tensor:
        return self.s

    def of_truth(self, x: Tensor) -> Tensor:
        return self.total(x * self.labels)

    def truths(self) -> Tensor:
        return self.total(self.g())

    def g(self) -> Tensor:
        return self.labels.to(self.dtype)

    def backward(self, gradient: Tensor, d_sums: Tensor, d_terms: Tensor, d_log_p: Tensor | None) -> None:
        q, q_true, h = self.q(d_sums, d_terms), self.q_true(d_sums), self.h(d_terms, d_log_p)
        slope = torch.zeros_like(self.s)
        if q is not None:
            slope = slope + q
        if q_true is not None:
            slope = slope + q_true * self.labels
        d_z = slope * self.s * (1 - self.s)
        if h is not None:
            d_z = d_z + h * (self.labels - self.s)
        gradient[self.sample, :, self.where] = d_z
