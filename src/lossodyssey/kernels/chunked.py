"""The pass in chunks of voxels that fit the cache: no one-hot, no stored softmax.

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
from lossodyssey.kernels.chunk import Chunk, Method, Part, Upstream
from lossodyssey.kernels.exclusive import ExclusivePass
from lossodyssey.kernels.regions import RegionsPass
from lossodyssey.kernels.request import Request, Statistics, Truth, accumulator, compute_dtype

T = TypeVar("T")


def run_pass(logits: Tensor, truth: Truth, request: Request, method: Method | None = None) -> Statistics:
    """Compute what `request` asks of logits (N, C, V) and a hard truth, in chunks that this method computes."""
    method = method or (RegionsPass if truth.sigmoid else ExclusivePass).method()
    found = _Pass.apply(logits, truth, request, method)  # type: ignore[no-untyped-call]
    sums, map_sums, terms, log_p, truths, map_truths, voxels = found
    return Statistics(sums, truths, voxels, map_sums, map_truths, terms, log_p if request.log_p else None)


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request, method: Method) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request, ctx.method = truth, request, method
        totals = _Totals(logits, truth, request)
        for chunk, part in _over_chunks(method.forward, method, logits, truth, request):
            totals.add(chunk, part)
        sums, truths, map_sums, map_truths = totals.columns()
        ctx.mark_non_differentiable(truths, map_truths, totals.voxels)
        return sums, map_sums, totals.terms, totals.log_p, truths, map_truths, totals.voxels

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_map_sums: Tensor, d_terms: Tensor, d_log_p: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request = ctx.truth, ctx.request
        if torch.is_grad_enabled():
            upstream = (d_sums, d_map_sums, d_terms, d_log_p)
            return plain.backward(logits, truth, request, upstream), None, None, None
        gradient = torch.empty_like(logits)
        given = Upstream(d_sums, d_map_sums, d_terms, d_log_p)

        def write(chunk: Chunk) -> None:
            ctx.method.backward(chunk, given, chunk.part_of(gradient))

        deque(_over_chunks(write, ctx.method, logits, truth, request), maxlen=0)
        return gradient, None, None, None


class _Totals:
    """The sums over all chunks."""

    def __init__(self, logits: Tensor, truth: Truth, request: Request) -> None:
        wide, (samples, classes, voxels) = accumulator(logits), logits.shape
        self.request, self.maps = request, len(request.map_sums)
        self.table = torch.zeros((samples, classes, 5 + 2 * self.maps), dtype=wide, device=logits.device)
        weights = 1 if truth.weight is None else truth.weight.shape[1]
        self.voxels = torch.zeros((samples, weights), dtype=wide, device=logits.device)
        self.terms = torch.zeros(len(request.voxel_terms) + len(request.map_terms), dtype=wide, device=logits.device)
        elements = (classes if truth.sigmoid else 1) if request.log_p else 0
        self.log_p = torch.empty((samples, elements, voxels), dtype=compute_dtype(logits), device=logits.device)

    def add(self, chunk: Chunk, part: Part) -> None:
        self.table[chunk.sample] += part.table
        self.voxels[chunk.sample] += part.voxels
        self.terms += part.terms
        if self.request.log_p:
            self.log_p[chunk.sample, :, chunk.where] = part.log_p

    def columns(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the sums that were asked for, the true voxels, and the sums of s and of g under maps."""
        under_s, under_g = self.table[:, :, 5 : 5 + self.maps], self.table[:, :, 5 + self.maps :]
        asked = self.table[:, :, : self.request.columns]
        return asked.clone(), self.table[:, :, 4].clone(), under_s.clone(), under_g.clone()


def _over_chunks(
    work: Callable[[Chunk], T], method: Method, logits: Tensor, truth: Truth, request: Request
) -> Iterator[tuple[Chunk, T]]:
    """Yield every chunk with what `work` makes of it, in order; shared among as many threads as PyTorch may use."""
    threads = torch.get_num_threads() if logits.device.type == "cpu" else 1
    chunks = list(_chunks(method.size(logits, request), logits, truth, request, threads))
    if method.alone and min(threads, len(chunks)) > 1:
        with _pool(threads) as pool:
            yield from zip(chunks, pool.map(work, chunks), strict=True)
        return
    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False), _single_threaded(threads):
        yield from ((chunk, work(chunk)) for chunk in chunks)


def _chunks(size: int, logits: Tensor, truth: Truth, request: Request, threads: int) -> Iterator[Chunk]:
    samples, _, voxels = logits.shape
    positions = torch.arange(min(size, voxels), device=logits.device)
    for sample in range(samples):
        for start in range(0, voxels, size):
            where = slice(start, min(start + size, voxels))
            yield Chunk(logits, truth, request, positions[: where.stop - start], threads, sample, where)


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads that each run PyTorch's operations alone, without gradients; threads begin without autocast.

    The number of threads belongs to a thread, but it is also what threads begun later start with.
    """
    with (
        _single_threaded(threads),
        ThreadPoolExecutor(threads, initializer=torch.set_grad_enabled, initargs=(False,)) as pool,
    ):
        yield pool


@contextmanager
def _single_threaded(threads: int) -> Iterator[None]:
    """Run PyTorch's operations on one thread, as small ones would wait for each other; `threads` again afterwards."""
    if threads == 1:
        yield
        return
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)
