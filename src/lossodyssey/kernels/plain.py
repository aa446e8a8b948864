"""The pass as plain differentiable PyTorch on whole tensors.

The reference of all other back ends, and the one that `torch.compile`, `torch.func` and double backward use.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.kernels.request import Request, Statistics, Truth, accumulator, compute_dtype

ROW = 1024
"""The most values that are added up in their own dtype."""


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute the statistics that `request` asks of logits (N, C, V)."""
    z = logits.to(compute_dtype(logits))
    wide = accumulator(z)
    weight = voxel_weight(truth, z.dtype)
    if weight is not None:  # what does not count may hold anything, NaN too
        z = torch.where(weight > 0, z, 0)
    g = one_hot(truth, z)
    s = torch.sigmoid(z) if truth.sigmoid else torch.softmax(z, 1)
    weighted = g if weight is None else g * weight

    def total(x: Tensor) -> Tensor:
        return wide_sum(x if weight is None else x * weight, wide)

    summed = summed_values(s, g, soft=truth.soft, squares=request.squares) if request.table else []
    columns = [total(x) for x in summed]

    maps = [_from_class(term.first, term.map.to(z.dtype), z) for term in request.map_sums]

    terms, log_p = _voxel_terms(z, g, truth, weight, request) if request.voxel_terms or request.log_p else ([], None)
    for map_term in request.map_terms:
        kept = slice(map_term.first, None)
        values = map_term.formula(s[:, kept], g[:, kept], *(m[:, kept] for m in map_term.maps))
        terms.append(_sum(values, None if weight is None else weight_from(weight, map_term.first), wide))

    none = z.new_zeros((*z.shape[:2], 0), dtype=wide)
    return Statistics(
        sums=torch.stack(columns, 2) if columns else none,
        truths=wide_sum(weighted, wide),
        voxels=z.new_full((len(z), 1), z.shape[2], dtype=wide) if weight is None else wide_sum(weight, wide),
        map_sums=torch.stack([total(s * m) for m in maps], 2) if maps else none,
        map_truths=torch.stack([wide_sum(weighted * m, wide) for m in maps], 2) if maps else none,
        terms=torch.stack(terms) if terms else z.new_zeros(0, dtype=wide),
        log_p=log_p,
    )


def _voxel_terms(
    z: Tensor, g: Tensor, truth: Truth, weight: Tensor | None, request: Request
) -> tuple[list[Tensor], Tensor | None]:
    """Return the voxel terms, and the log-probability of the truth where it is asked for."""
    log_p, labels, classes, share = elements(z, g, truth)
    expected = None
    if request.log_p:
        expected = log_p if share is None else expected_over_labels(log_p * share, z.shape[1], truth.sigmoid)
    if weight is not None:
        share = weight if share is None else share * fit(weight, log_p)
    terms = []
    for term in request.voxel_terms:
        fitted = (fit(found, log_p) for found in term.maps)
        terms.append(_sum(term.formula(log_p, labels, classes, *fitted), share, accumulator(z)))
    return terms, expected


def summed_values(s: Tensor, g: Tensor, *, soft: bool, squares: bool) -> list[Tensor]:
    """Return the values of every voxel and class that are added up in the columns of `Statistics.sums`."""
    # Of a soft truth tp is sum min(s, g), so that s = g is free of errors; the gradient of `minimum` is slow.
    false = (s - g).relu() if soft else (1 - g) * s
    values = [false, s - false if soft else g * s]
    if squares:
        values += [(1 - g) * s * s, g * s * s]
    if squares and soft:
        values += [g * s, g * g]
    return values


def backward(logits: Tensor, truth: Truth, request: Request, upstream: tuple[Tensor, ...]) -> Tensor:
    """Return the gradient, itself differentiable, from `upstream`: of sums, sums under maps, terms and log_p."""
    statistics = run_pass(logits, truth, request)
    outputs = [statistics.sums, statistics.map_sums, statistics.terms] + (
        [] if statistics.log_p is None else [statistics.log_p]
    )
    asked = [(x, d_x) for x, d_x in zip(outputs, upstream, strict=False) if x.requires_grad]
    return torch.autograd.grad([x for x, _ in asked], logits, [d_x for _, d_x in asked], create_graph=True)[0]


def voxel_weight(truth: Truth, dtype: torch.dtype) -> Tensor | None:
    """Return weights (N, 1 or C, V) of the voxels, 0 where ignored; None when every voxel counts alike."""
    weight = None if truth.weight is None else truth.weight.to(dtype)
    if truth.ignore is None or truth.labels is None:
        return weight
    valid = (truth.labels != truth.ignore).to(dtype)[:, None]
    return valid if weight is None else weight * valid


def weight_from(weight: Tensor, first: int) -> Tensor:
    """Return the weights (..., 1 or C, V) of the classes from `first` on."""
    return weight if weight.shape[-2] == 1 else weight[..., first:, :]


def known_labels(labels: Tensor, ignore: int | None) -> Tensor:
    """Return the labels as int64 indices, the ignored ones replaced by class 0 (they carry no weight)."""
    labels = labels.long()
    return labels if ignore is None else torch.where(labels == ignore, 0, labels)


def one_hot(truth: Truth, z: Tensor) -> Tensor:
    """Return the truth g (N, C, V) per class or channel, in the dtype of `z`."""
    if truth.regions is not None:
        return truth.regions.to(z.dtype)
    assert truth.labels is not None
    labels = known_labels(truth.labels, truth.ignore)
    return (labels[:, None] == torch.arange(z.shape[1], device=z.device)[:, None]).to(z.dtype)


def elements(z: Tensor, g: Tensor, truth: Truth) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return the log-probability of the truth (N, E, V), its label, its class, and its share where the truth is soft.

    A soft truth is the expectation over its labels: under softmax E = C and the shares are g; under sigmoid E = 2C,
    the channels' foregrounds and backgrounds with the shares g and 1 - g.
    """
    return _log_share(z, g, truth), *states(truth, g)


def states(truth: Truth, g: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the labels, classes and shares of `elements`, given the truth g (N, C, V) or any tensor of its shape."""
    channels = torch.arange(g.shape[1], device=g.device)[:, None]
    if truth.sigmoid and truth.soft:
        labels = torch.cat([torch.ones_like(channels), torch.zeros_like(channels)])
        share = torch.cat([g, 1 - g], 1)
        return labels.expand_as(share), torch.cat([channels, channels]), share
    if truth.sigmoid:
        return (g > 0.5).long(), channels, None
    if truth.labels is None:
        return channels.expand_as(g), channels, g
    labels = known_labels(truth.labels, truth.ignore)[:, None]
    return labels, labels, None


def _log_share(z: Tensor, g: Tensor, truth: Truth) -> Tensor:
    if truth.sigmoid and truth.soft:
        return torch.cat([F.logsigmoid(z), F.logsigmoid(-z)], 1)
    if truth.sigmoid:
        return F.logsigmoid(torch.where(g > 0.5, z, -z))
    if truth.labels is None:
        return torch.log_softmax(z, 1)
    channels, labels = torch.arange(z.shape[1], device=z.device)[:, None], states(truth, g)[0]
    # Of a confident voxel the softmax's own logarithm would keep few digits: 1 + e^-12 is rounded.
    others, true = z.masked_fill(channels == labels, -torch.inf).logsumexp(1, keepdim=True), z.gather(1, labels)
    log_p = F.logsigmoid(true - others)
    # An infinite logit is not a perfect prediction but a network that has diverged.
    return torch.where(torch.isposinf(torch.maximum(true, others)), torch.nan, log_p)


def weighted_log_p(z: Tensor, truth: Truth, log_p: Tensor, weights: Tensor) -> Tensor:
    """Return the log-probability of the truth (N, E, V) times its class's weight (C,), expected over soft labels."""
    if not truth.soft:
        return log_p * weights[_class_of(z, truth)]
    log_p, _, classes, share = elements(z, one_hot(truth, z), truth)
    assert share is not None
    return expected_over_labels(log_p * share * weights[classes], z.shape[1], truth.sigmoid)


def _class_of(z: Tensor, truth: Truth) -> Tensor:
    if truth.labels is None:
        return torch.arange(z.shape[1], device=z.device)[:, None]
    return known_labels(truth.labels, truth.ignore)[:, None]


def fit(found: Tensor, log_p: Tensor) -> Tensor:
    """Return a map (N, 1 or C, V) for the elements of a soft truth, which may be twice the channels."""
    return found if found.shape[1] == 1 else found.repeat(1, log_p.shape[1] // found.shape[1], 1)


def _from_class(first: int, m: Tensor, z: Tensor) -> Tensor:
    """Return a map (N, 1 or C, V) with 0 for the classes before the first."""
    return m if first == 0 else torch.where(torch.arange(z.shape[1], device=z.device)[:, None] < first, 0, m)


def _sum(values: Tensor, share: Tensor | None, wide: torch.dtype) -> Tensor:
    return wide_sum(values if share is None else values * share, wide).sum()


def wide_sum(x: Tensor, wide: torch.dtype) -> Tensor:
    """Return the sums over the last axis in a wider dtype.

    PyTorch would copy all values in that dtype first. Rows of them are added up in their own dtype instead, where the
    axis can be divided into rows.
    """
    # A compiler makes no copy; and it would trace the search for a row.
    whole = torch.compiler.is_compiling() or x.dtype == wide
    row = 0 if whole else row_of(x.shape[-1])
    if not row:
        return x.sum(-1, dtype=wide)
    return x.reshape(*x.shape[:-1], x.shape[-1] // row, row).sum(-1).sum(-1, dtype=wide)


@cache
def row_of(values: int) -> int:
    """Return the length of equal rows of up to `ROW` values; 0 where they would be short, or a single one."""
    return next((size for size in range(ROW, ROW // 16, -1) if values % size == 0 and size < values), 0)


def expected_over_labels(shares: Tensor, channels: int, sigmoid: bool) -> Tensor:
    """Sum over the labels that a soft truth may have: (N, C, V) -> (N, 1, V), or (N, 2C, V) -> (N, C, V)."""
    if not sigmoid:
        return shares.sum(1, keepdim=True)
    return shares[:, :channels] + shares[:, channels:]


def likeliest(logits: Tensor) -> Tensor:
    """Return the class (N, *S) of the largest logit, the first among equals: `argmax(1)`, far faster on the CPU."""
    largest = logits.amax(1)
    labels = torch.zeros_like(largest, dtype=torch.int16)
    # From the last class to the first, so that the first of equals is written last.
    for label in reversed(range(logits.shape[1])):
        labels.masked_fill_(logits[:, label] == largest, label)
    return labels
