"""The walk in chunks of voxels that fit the cache: no one-hot, no stored softmax.

Forward and backward each read the logits once; backward recomputes the softmax and writes the gradient, the only
tensor of the logits' size that is ever made. Several threads take whole chunks each: many small parallel operations
would wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from lossodyssey.kernels import plain
from lossodyssey.kernels.chunk import Chunk, Part, Slopes
from lossodyssey.kernels.exclusive import ExclusiveChunk
from lossodyssey.kernels.regions import RegionsChunk
from lossodyssey.kernels.request import Answer, Request, Truth, accumulator, compute_dtype

T = TypeVar("T")


def walk(logits: Tensor, truth: Truth, request: Request, kind: type[Chunk] | None = None) -> Answer:
    """Answer `request` for logits (N, C, V) and a hard truth, in chunks of this kind."""
    kind = kind or (RegionsChunk if truth.sigmoid else ExclusiveChunk)
    sums, terms, log_p, truths, voxels = _Walk.apply(logits, truth, request, kind)  # type: ignore[no-untyped-call]
    return Answer(sums, truths, voxels, terms, log_p if request.log_p else None)


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request, kind: type[Chunk]) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request, ctx.kind = truth, request, kind
        totals = _Totals(logits, truth, request)
        for place, part in _over_chunks(kind.part, kind, logits, truth, request):
            totals.add(place, part)
        ctx.mark_non_differentiable(totals.truths, totals.voxels)
        return totals.sums, totals.terms, totals.log_p, totals.truths, totals.voxels

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_terms: Tensor, d_log_p: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request = ctx.truth, ctx.request
        if torch.is_grad_enabled():
            return plain.backward(logits, truth, request, (d_sums, d_terms, d_log_p)), None, None, None
        slopes, gradient = Slopes(d_sums, d_terms, d_log_p), torch.empty_like(logits)

        def write(chunk: Chunk) -> None:
            chunk.write(slopes, gradient[chunk.sample, :, chunk.where])

        deque(_over_chunks(write, ctx.kind, logits, truth, request), maxlen=0)
        return gradient, None, None, None


class _Totals:
    """The sums over all chunks."""

    def __init__(self, logits: Tensor, truth: Truth, request: Request) -> None:
        wide, (samples, classes, voxels) = accumulator(logits), logits.shape
        columns = (2 if request.table else 0) + (2 if request.squares else 0)
        self.request = request
        self.sums = torch.zeros((samples, classes, columns), dtype=wide, device=logits.device)
        self.truths = torch.zeros((samples, classes), dtype=wide, device=logits.device)
        weights = 1 if truth.weight is None else truth.weight.shape[1]
        self.voxels = torch.zeros((samples, weights), dtype=wide, device=logits.device)
        self.terms = torch.zeros(len(request.voxel_terms) + len(request.map_terms), dtype=wide, device=logits.device)
        elements = (classes if truth.sigmoid else 1) if request.log_p else 0
        self.log_p = torch.empty((samples, elements, voxels), dtype=compute_dtype(logits), device=logits.device)

    def add(self, place: tuple[int, slice], part: Part) -> None:
        sample, where = place
        if self.request.table:
            self.sums[sample] += part.sums
        self.truths[sample] += part.truths
        self.voxels[sample] += part.voxels
        self.terms += part.terms
        if self.request.log_p:
            self.log_p[sample, :, where] = part.log_p


def _over_chunks(
    work: Callable[[Any], T], kind: type[Chunk], logits: Tensor, truth: Truth, request: Request
) -> Iterator[tuple[tuple[int, slice], T]]:
    """What `work` makes of every chunk, in order; shared among as many threads as PyTorch may use."""
    threads = torch.get_num_threads() if logits.device.type == "cpu" else 1
    size = kind.size(logits, request)
    places = list(_places(logits, size))
    positions = torch.arange(min(size, logits.shape[2]), device=logits.device)

    def at(place: tuple[int, slice]) -> T:
        return work(kind(logits, truth, request, positions, threads, *place))

    if kind.alone and min(threads, len(places)) > 1:
        with _pool(threads) as pool:
            yield from zip(places, pool.map(at, places), strict=True)
        return
    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False), _single_threaded(threads):
        yield from ((place, at(place)) for place in places)


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that each run PyTorch's operations alone, without gradients; threads begin without autocast.

    The number of threads belongs to a thread, but it is also what threads begun later start with.
    """
    with (
        _single_threaded(threads),
        ThreadPoolExecutor(threads, initializer=torch.set_grad_enabled, initargs=(False,)) as pool,
    ):
        yield pool


@contextmanager
def _single_threaded(threads: int) -> Iterator[None]:
    """PyTorch's operations on one thread, and afterwards on so many again: small ones would wait for each other."""
    if threads == 1:
        yield
        return
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


def _places(logits: Tensor, size: int) -> Iterator[tuple[int, slice]]:
    samples, _, voxels = logits.shape
    for sample in range(samples):
        for start in range(0, voxels, size):
            yield sample, slice(start, min(start + size, voxels))
