"""The parts of a batch that are worked on at once, and which of their formulas the kernels know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from lossodyssey.kernels.job import powers_of
from lossodyssey.kernels.powers import Table
from lossodyssey.kernels.request import Request, Truth


@dataclass(frozen=True)
class Part:
    """The samples at `where`: the kernels evaluate `powers`, the voxel formulas that were taken out of `request`."""

    where: slice
    logits: Tensor
    truth: Truth
    request: Request
    powers: Table | None


def slices(logits: Tensor, truth: Truth, request: Request) -> Iterator[Part]:
    """Yield the samples that are worked on at once.

    That is the whole batch, or where map formulas make tensors of the logits' size one sample after another.
    """
    if not request.map_terms or len(logits) < 2:
        yield _part(slice(None), logits, truth, request)
        return
    for sample in range(len(logits)):
        where = slice(sample, sample + 1)
        yield _part(where, logits[where], _truth_of(truth, where), _request_of(request, where))


def _part(where: slice, logits: Tensor, truth: Truth, request: Request) -> Part:
    # A soft truth has a number per class, which PyTorch's formulas are given.
    known = bool(request.voxel_terms) and not truth.soft
    powers = powers_of(request, truth, logits.shape[1]) if known else None
    kept = request if powers is None else replace(request, voxel_terms=[])
    return Part(where, logits, truth, kept, powers)


def _truth_of(truth: Truth, where: slice) -> Truth:
    labels, regions, weight = (
        None if part is None else part[where] for part in (truth.labels, truth.regions, truth.weight)
    )
    return replace(truth, labels=labels, regions=regions, weight=weight)


def _request_of(request: Request, where: slice) -> Request:
    return replace(
        request,
        voxel_terms=[replace(term, maps=tuple(m[where] for m in term.maps)) for term in request.voxel_terms],
        map_terms=[replace(term, maps=tuple(m[where] for m in term.maps)) for term in request.map_terms],
        map_sums=[replace(term, map=term.map[where]) for term in request.map_sums],
    )


def split(d_terms: Tensor, powers: Table | None) -> tuple[Tensor, Tensor]:
    """Return the gradients of the terms that the kernels evaluate, which stand first, and of the others."""
    known = 0 if powers is None else len(powers.factors)
    return d_terms[:known], d_terms[known:]
