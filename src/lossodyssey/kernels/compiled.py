"""The pass in compiled code: chunks as in `chunked`, each of them one call that never leaves the processor's cache.

For float32 and half precision on the CPU; float64 goes the way of `chunked`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import chunked
from lossodyssey.kernels.chunk import Chunk, Method, Part, Upstream, stacked
from lossodyssey.kernels.exclusive import labels_and_weight
from lossodyssey.kernels.request import Request, Statistics, Truth
from lossodyssey.kernels.terms import Terms

LEAST_CHUNKS, LEAST_VOXELS, MOST_VOXELS = 4, 28_000, 1 << 18
ALLOCATED = 0.2
"""The memory that PyTorch's operations may allocate for a chunk, in multiples of the logits of the batch. Fewer chunks
are faster: the operations around the compiled code cost the same whatever the size of the chunk."""


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute what `request` asks of logits (N, C, V) and a hard truth."""
    if not fits(logits):
        return chunked.run_pass(logits, truth, request)
    return chunked.run_pass(logits, truth, request, REGIONS if truth.sigmoid else EXCLUSIVE)


def fits(logits: Tensor) -> bool:
    """Return whether there is compiled code for these logits."""
    return logits.device.type == "cpu" and logits.dtype != torch.float64 and native.serves(logits.numel())


@dataclass(frozen=True)
class Link:
    """The compiled functions of softmax or of sigmoid, and how they are given a chunk.

    `read` makes their inputs. Voxel formulas and their gradients take about `numbers` numbers of float32 per voxel, or
    with `per_class` per voxel and class.
    """

    forward: str
    backward: str
    read: Callable[[Chunk], Inputs]
    numbers: int
    per_class: bool

    def method(self) -> Method:
        """Return how chunks of this link are computed; threads share each of them."""
        return Method(partial(_forward, self), partial(_backward, self), partial(_size, self), alone=False)


@dataclass(frozen=True)
class Inputs:
    """The inputs of the compiled functions: logits z (C, v) by rows, the truth with its weights, and maps by rows.

    `terms` are the formulas on the chunk. `g` makes the truth (C, v) per class.
    """

    z: Tensor
    truth: tuple[Tensor | int | None, ...]
    terms: Terms
    g: Callable[[], Tensor]
    maps: list[Tensor]

    @property
    def threads(self) -> int:
        return native.number_of_threads(self.z.numel(), self.terms.chunk.threads)


def _forward(link: Link, chunk: Chunk) -> Part:
    """Return a chunk's share of the statistics."""
    x, request = link.read(chunk), chunk.request
    tables = torch.zeros((x.threads, len(x.z), 5 + 2 * len(x.maps)), dtype=chunk.wide)
    s = torch.empty_like(x.z) if request.map_terms else None
    log_p = _probabilities(link, x, s, tables)
    terms = x.terms.voxel_sums(log_p) + ([] if s is None else x.terms.map_sums(s, x.g()))
    table = tables.sum(0)
    log_p = log_p if request.log_p else table.new_empty(0)
    return Part(table, chunk.voxels(x.terms.weight), stacked(terms, table), log_p)


def _backward(link: Link, chunk: Chunk, upstream: Upstream, out: Tensor) -> None:
    """Write dL/dz of a chunk to `out` (C, v), where the probabilities stand first if it can hold them."""
    x, request = link.read(chunk), chunk.request
    s = out if out.dtype == chunk.dtype and out.stride(1) == 1 else torch.empty_like(x.z)
    log_p = _probabilities(link, x, s, None)
    h = x.terms.d_log_p(upstream, log_p)
    if link.per_class and h is not None:
        # 1 - p of the true state, from its logarithm: the probability itself has lost these digits.
        h = h * -torch.expm1(log_p)
    q = by_rows(x.terms.d_s(upstream, s, x.g(), None)) if request.map_terms else None
    gradients = (_of_sums(chunk, upstream), request.squares, None if h is None else h.contiguous())
    of_s = (q, stride_of(q), request.first, _addresses(x), len(x.maps))
    native.call(link.backward, s, s.stride(0), *x.truth, *x.z.shape, *gradients, *of_s, x.threads)
    if s is not out:
        out.copy_(s)


def _probabilities(link: Link, x: Inputs, s: Tensor | None, tables: Tensor | None) -> Tensor:
    """Write s (C, v), add each thread's sums to `tables` (T, C, 5 + 2M), return log_p (E, v), empty unless needed."""
    request = x.terms.chunk.request
    wanted = request.log_p or bool(request.voxel_terms)
    log_p = x.z.new_empty((len(x.z) if link.per_class else 1, x.z.shape[1] if wanted else 0))
    outputs = (s, stride_of(s), tables, request.squares, log_p if wanted else None)
    maps = (_addresses(x), len(x.maps)) if tables is not None else (None, 0)
    native.call(link.forward, x.z, x.z.stride(0), *x.truth, *x.z.shape, *outputs, *maps, x.threads)
    return log_p


def _of_sums(chunk: Chunk, upstream: Upstream) -> Tensor:
    """Return the gradients (C, 4 + M) of the sums: 0 for those that were not asked for, then of those under maps."""
    sums, map_sums = upstream.sums[chunk.sample], upstream.map_sums[chunk.sample]
    a = torch.zeros((len(sums), 4 + map_sums.shape[1]), dtype=chunk.dtype)
    a[:, : sums.shape[1]] = sums
    a[:, 4:] = map_sums
    return a


def _addresses(x: Inputs) -> Tensor | None:
    """Return where each class (C, M) finds each map, 0 before a map's first class; one channel serves all classes."""
    if not x.maps:
        return None
    columns = []
    for term, m in zip(x.terms.chunk.request.map_sums, x.maps, strict=True):
        step = m.stride(0) * m.element_size() if len(m) > 1 else 0
        columns.append([0] * term.first + [m.data_ptr() + c * step for c in range(len(x.z) - term.first)])
    return torch.tensor(columns, dtype=torch.int64).t().contiguous()


def _size(link: Link, logits: Tensor, request: Request) -> int:
    samples, classes, voxels = logits.shape
    numbers = link.numbers * (classes if link.per_class else 1) + (4 * classes if request.map_terms else 0)
    share = min(ALLOCATED * classes / numbers, 1 / LEAST_CHUNKS)
    return max(1024, min(MOST_VOXELS, max(LEAST_VOXELS, int(samples * voxels * share))))


def _read_exclusive(chunk: Chunk) -> Inputs:
    (labels, weight), z = labels_and_weight(chunk), by_rows(chunk.z())
    truth = (labels.contiguous(), None if weight is None else weight.contiguous())
    terms = Terms(chunk, labels, labels, weight)
    return Inputs(z, truth, terms, partial(_one_hot, truth[0], z), list(map(by_rows, chunk.maps())))


def _one_hot(labels: Tensor, z: Tensor) -> Tensor:
    g = z.new_empty(z.shape)
    native.call("lo_one_hot", labels, *g.shape, g)
    return g


def _read_regions(chunk: Chunk) -> Inputs:
    assert chunk.truth.regions is not None
    regions, weight = chunk.part_of(chunk.truth.regions), chunk.given_weight()
    inside = by_rows(regions if regions.dtype == torch.bool else regions > 0.5)
    rows = None if weight is None else by_rows(weight)
    # A stride of 0 gives all channels the same weights.
    truth = (inside, inside.stride(0), rows, stride_of(rows) if rows is not None and len(rows) > 1 else 0)
    labels = inside.long() if chunk.request.voxel_terms else inside
    terms = Terms(chunk, labels, torch.arange(len(inside))[:, None], weight)
    return Inputs(by_rows(chunk.z()), truth, terms, partial(inside.to, chunk.dtype), list(map(by_rows, chunk.maps())))


EXCLUSIVE = Link("lo_softmax", "lo_softmax_gradient", _read_exclusive, numbers=8, per_class=False).method()
REGIONS = Link("lo_sigmoid", "lo_sigmoid_gradient", _read_regions, numbers=10, per_class=True).method()


def by_rows(x: Tensor) -> Tensor:
    """Return the same (C, v) with the voxels of a class side by side."""
    return x if x.stride(1) == 1 else x.contiguous()


def stride_of(rows: Tensor | None) -> int:
    """Return how far the rows lie from each other."""
    return 0 if rows is None else rows.stride(0)
