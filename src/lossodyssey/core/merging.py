"""Logits and truth of a pair in which classes are merged, or of which some samples are taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import Truth, transformed
from lossodyssey.kernels.plain import known_labels

Groups = Sequence[Collection[int]]
"""The classes that each class of the merged pair unites."""

BLOCK = 1 << 17
"""Logits that are worked on at once, which the processor's cache holds."""


def merged_logits(logits: Tensor, groups: Groups) -> Tensor:
    """Return logits (N, len(groups), *S) of the unions, whose softmax is the sum of the classes' probabilities.

    The logit of a union is the log-sum-exp of its classes' logits, not their sum.
    """
    return _unions(logits, [sorted(group) for group in groups], ())


def stacked(samples: Sequence[Tensor]) -> Tensor:
    """Return samples (C, *S) as one tensor (N, C, *S); a single one is not copied."""
    return samples[0][None] if len(samples) == 1 else torch.stack([*samples])


def log_odds(logits: Tensor) -> Tensor:
    """Return the log-odds (N, C - 1, *S) of each foreground class against all others together."""
    classes = range(logits.shape[1])
    return _unions(logits, [[c for c in classes if c != label] for label in classes[1:]], classes[1:])


def _unions(logits: Tensor, groups: Sequence[Sequence[int]], labels: Sequence[int]) -> Tensor:
    """Return the logits (N, len(groups), *S) of unions; with `labels`, those of these classes less the unions'."""
    flat = logits.flatten(2)
    found: Tensor = (
        torch.stack(_values(flat, groups, labels), 1) if transformed() else _Unions.apply(flat, groups, labels)  # type: ignore[no-untyped-call]
    )
    return found.reshape(len(logits), len(groups), *logits.shape[2:])


class _Unions(torch.autograd.Function):
    """Unions whose gradient is put together once, and which keep nothing but the logits."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, groups: Sequence[Sequence[int]], labels: Sequence[int]) -> Tensor:
        ctx.save_for_backward(z)
        ctx.groups, ctx.labels = groups, labels
        return _in_blocks(partial(_values, groups=groups, labels=labels), len(groups), z)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (z,) = ctx.saved_tensors
        gradient = partial(_gradient, groups=ctx.groups, labels=ctx.labels)
        # A second derivative follows from the operations on whole tensors.
        whole = torch.is_grad_enabled()
        found = torch.stack(gradient(z, upstream[0]), 1) if whole else _in_blocks(gradient, z.shape[1], z, upstream[0])
        return found, None, None


def _in_blocks(function: Callable[..., list[Tensor]], channels: int, *tensors: Tensor) -> Tensor:
    """Return the channels (N, channels, V) that a function makes of tensors (N, C, V), in blocks for the cache."""
    n, c, voxels = tensors[0].shape
    size = max(BLOCK // max(n * c, 1), 1024)
    if tensors[0].device.type != "cpu" or voxels <= size:
        return torch.stack(function(*tensors), 1)
    found = tensors[0].new_empty((n, channels, voxels))
    for start in range(0, voxels, size):
        block = slice(start, start + size)
        for k, channel in enumerate(function(*(x[:, :, block] for x in tensors))):
            found[:, k, block] = channel
    return found


def _values(z: Tensor, groups: Sequence[Sequence[int]], labels: Sequence[int]) -> list[Tensor]:
    unions = [_union(z, group) for group in groups]
    return [z[:, label] - x for label, x in zip(labels, unions, strict=True)] if labels else unions


def _union(z: Tensor, group: Sequence[int]) -> Tensor:
    if len(group) == 2:  # faster than `logsumexp`, which needs the two side by side
        return torch.logaddexp(z[:, group[0]], z[:, group[1]])
    return z[:, group].logsumexp(1) if len(group) > 1 else z[:, group[0]]


def _gradient(z: Tensor, upstream: Tensor, groups: Sequence[Sequence[int]], labels: Sequence[int]) -> list[Tensor]:
    """Return the gradient (N, V) of each class, which gets its share of the union's probability."""
    parts = dict(zip(labels, upstream.unbind(1), strict=False))
    for own, group in zip(upstream.unbind(1), groups, strict=True):
        for label, part in zip(group, _shared_out(z, group, -own if labels else own), strict=True):
            parts[label] = parts[label] + part if label in parts else part
    nothing = torch.zeros_like(z[:, 0]) if len(parts) < z.shape[1] else z
    return [parts.get(label, nothing) for label in range(z.shape[1])]


def _shared_out(z: Tensor, group: Sequence[int], upstream: Tensor) -> Sequence[Tensor]:
    if len(group) == 1:
        return [upstream]
    if len(group) == 2:
        first = upstream * torch.sigmoid(z[:, group[0]] - z[:, group[1]])
        return [first, upstream - first]
    return (upstream[:, None] * z[:, group].softmax(1)).unbind(1)


def merged_truth(truth: Truth, groups: Groups, classes: int) -> Truth:
    """Return the truth of the unions: each label's group, or the sum of the classes' channels."""
    if truth.regions is not None:
        channels = [truth.regions[:, list(group)] for group in groups]
        united = [x[:, 0] if x.shape[1] == 1 else x.sum(1).to(x.dtype) for x in channels]
        return replace(truth, regions=torch.stack(united, 1), weight=_weight_of(truth.weight, groups))
    assert truth.labels is not None
    table = [next(k for k, group in enumerate(groups) if label in group) for label in range(classes)]
    known = known_labels(truth.labels, truth.ignore)
    labels = torch.tensor(table, device=known.device).index_select(0, known.flatten()).reshape(known.shape)
    if truth.ignore is None:
        return replace(truth, labels=labels)
    return replace(truth, labels=labels.masked_fill(truth.labels == truth.ignore, -1), ignore=-1)


def merged_annotated(annotated: Tensor | None, groups: Groups) -> Tensor | None:
    """Return which unions are annotated, (N, groups): those of which every class is."""
    return None if annotated is None else torch.stack([annotated[:, list(group)].all(1) for group in groups], 1)


def _weight_of(weight: Tensor | None, groups: Groups) -> Tensor | None:
    """Return the weights per channel of the channels that are left; a weight for all channels as it is."""
    return weight if weight is None or weight.shape[1] == 1 else weight[:, [min(group) for group in groups]]


def truth_of_samples(truth: Truth, index: Tensor | slice) -> Truth:
    """Return the truth of the samples with this index."""
    labels, regions, weight = (None if x is None else x[index] for x in (truth.labels, truth.regions, truth.weight))
    return replace(truth, labels=labels, regions=regions, weight=weight)


def chosen(value: Any, index: Tensor | slice) -> Any:
    """Return a tensor's entries of some of the samples; anything else holds for all of them."""
    return value[index] if isinstance(value, Tensor) else value


def check_regions(groups: Groups) -> None:
    """Raise ValueError for a group of several regions, which have no union."""
    if any(len(group) != 1 for group in groups):
        raise ValueError(f'groups are {[tuple(g) for g in groups]}, but link="sigmoid" has regions: expected one each')
