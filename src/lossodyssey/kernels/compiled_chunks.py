"""The pass in compiled code where PyTorch evaluates formulas: chunks as in `chunked`, each of them one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels.chunk import Chunk, Method, Part, Upstream, stacked
from lossodyssey.kernels.exclusive import labels_and_weight
from lossodyssey.kernels.job import Job, exclusive_truth, regions_truth
from lossodyssey.kernels.powers import Table, table
from lossodyssey.kernels.request import Request, Truth
from lossodyssey.kernels.terms import Terms

LEAST_CHUNKS, LEAST_VOXELS, MOST_VOXELS = 4, 28_000, 1 << 18
ALLOCATED = 0.2
"""The memory that PyTorch's operations may allocate for a chunk, in multiples of the logits of the batch. Fewer chunks
are faster: the operations around the compiled code cost the same whatever the size of the chunk."""


def method(truth: Truth) -> Method:
    """Return how chunks are computed, under softmax or sigmoid."""
    return REGIONS if truth.sigmoid else EXCLUSIVE


@dataclass(frozen=True)
class Link:
    """How the compiled functions of softmax or of sigmoid are given a chunk: `read` makes their inputs.

    Voxel formulas and their gradients take about `numbers` numbers of float32 per voxel, or with `per_class` per voxel
    and class.
    """

    read: Callable[[Chunk], Inputs]
    numbers: int
    per_class: bool

    def method(self) -> Method:
        """Return how chunks of this link are computed; threads share each of them."""
        return Method(partial(_forward, self), partial(_backward, self), partial(_size, self), alone=False)


@dataclass(frozen=True)
class Inputs:
    """The call for a chunk, its formulas, and the function that makes its truth (C, v) per class."""

    job: Job
    terms: Terms
    g: Callable[[], Tensor]


def _forward(link: Link, chunk: Chunk) -> Part:
    """Return a chunk's share of the statistics."""
    x, request = link.read(chunk), chunk.request
    s, log_p = _outputs(link, x, request)
    table = x.job.sums(s, log_p)[0]
    terms = [] if log_p is None else x.terms.voxel_sums(log_p[0])
    terms += [] if s is None else x.terms.map_sums(s[0], x.g())
    # Column 5, the weights, is not among those of a part.
    known = torch.cat([table[:, :5], table[:, 6 : 6 + 2 * len(x.job.maps)]], 1)
    found = table.new_empty(0) if log_p is None or not request.log_p else log_p[0]
    return Part(known, chunk.voxels(x.terms.weight), stacked(terms, table), found)


def _backward(link: Link, chunk: Chunk, upstream: Upstream, out: Tensor) -> None:
    """Write dL/dz of a chunk to `out` (C, v)."""
    x, request = link.read(chunk), chunk.request
    s, log_p = _outputs(link, x, request)
    if s is not None or log_p is not None:
        x.job.sums(s, log_p)
    h = None if log_p is None else x.terms.d_log_p(upstream, log_p[0])
    q = None if s is None else x.terms.d_s(upstream, s[0], x.g(), None)

    sums, map_sums = upstream.sums[chunk.sample], upstream.map_sums[chunk.sample]
    a = torch.cat([torch.nn.functional.pad(sums, (0, 4 - sums.shape[1])), map_sums], 1)
    direct = out.dtype == chunk.dtype and out.stride(1) == 1
    target = out if direct else torch.empty_like(x.job.z[0])
    given = (None if h is None else h.contiguous()[None], None if q is None else q.contiguous()[None], request.first)
    x.job.write_gradient(target[None], a[None], x.job.powers.factors[0:0].sum(0), *given)
    if not direct:
        out.copy_(target)


def _outputs(link: Link, x: Inputs, request: Request) -> tuple[Tensor | None, Tensor | None]:
    """Return room for s (1, C, v) and log_p (1, E, v), None where no formula needs it."""
    z = x.job.z
    s = torch.empty(z.shape) if request.map_terms else None
    wanted = request.log_p or bool(request.voxel_terms)
    return s, z.new_empty((1, z.shape[1] if link.per_class else 1, z.shape[2])) if wanted else None


def _size(link: Link, logits: Tensor, request: Request) -> int:
    samples, classes, voxels = logits.shape
    numbers = link.numbers * (classes if link.per_class else 1) + (4 * classes if request.map_terms else 0)
    # `numbers` for each voxel of a chunk make ALLOCATED times the batch's logits, which are `classes` per voxel.
    share = min(ALLOCATED * classes / numbers, 1 / LEAST_CHUNKS)
    return max(1024, min(MOST_VOXELS, max(LEAST_VOXELS, int(samples * voxels * share))))


def _job(chunk: Chunk, names: tuple[str, str], truth: tuple[Tensor | int | None, ...], no_powers: Table) -> Job:
    maps = [(by_rows(m)[None], term.first) for m, term in zip(chunk.maps(), chunk.request.map_sums, strict=True)]
    z = by_rows(chunk.z().detach())[None]
    return Job(names, z, truth, maps, no_powers, chunk.request.squares, chunk.threads)


def _read_exclusive(chunk: Chunk) -> Inputs:
    labels, weight = labels_and_weight(chunk)
    truth = exclusive_truth(labels, None if weight is None else weight[None], None)
    classes = chunk.logits.shape[1]
    job = _job(chunk, ("lo_softmax", "lo_softmax_gradient"), truth, table([], classes, 1))
    return Inputs(job, Terms(chunk, labels, labels, weight), partial(_one_hot, labels, classes))


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    g = torch.empty((classes, labels.shape[1]))
    native.call("lo_one_hot", labels.contiguous(), *g.shape, g)
    return g


def _read_regions(chunk: Chunk) -> Inputs:
    assert chunk.truth.regions is not None
    regions, weight = chunk.part_of(chunk.truth.regions), chunk.given_weight()
    inside = regions if regions.dtype == torch.bool else regions > 0.5
    truth = regions_truth(inside[None], None if weight is None else weight[None])
    labels = inside.long() if chunk.request.voxel_terms else inside
    job = _job(chunk, ("lo_sigmoid", "lo_sigmoid_gradient"), truth, table([], len(inside), 2))
    terms = Terms(chunk, labels, torch.arange(len(inside))[:, None], weight)
    return Inputs(job, terms, partial(inside.to, chunk.dtype))


EXCLUSIVE = Link(_read_exclusive, numbers=8, per_class=False).method()
REGIONS = Link(_read_regions, numbers=10, per_class=True).method()


def by_rows(x: Tensor) -> Tensor:
    """Return the same (C, v) with the voxels of a class side by side."""
    return x if x.stride(1) == 1 else x.contiguous()
