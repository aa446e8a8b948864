"""The parts of a batch that are worked on at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from lossodyssey.kernels.request import Request, Truth


def slices(logits: Tensor, truth: Truth, request: Request) -> Iterator[tuple[slice, Tensor, Truth, Request]]:
    """Yield where the samples lie that are worked on at once, with their logits, truth and request.

    That is the whole batch, or where map formulas make tensors of the logits' size one sample after another.
    """
    if not request.map_terms or len(logits) < 2:
        yield slice(None), logits, truth, request
        return
    for sample in range(len(logits)):
        where = slice(sample, sample + 1)
        yield where, logits[where], _truth_of(truth, where), _request_of(request, where)


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
