"""Logits and truth of a pair in which classes are merged, or of which some samples are taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import Truth
from lossodyssey.kernels.plain import known_labels

Groups = Sequence[Collection[int]]
"""The classes that each class of the merged pair unites."""


def merged_logits(logits: Tensor, groups: Groups) -> Tensor:
    """Return logits (N, len(groups), *S) of the unions, whose softmax is the sum of the classes' probabilities.

    The logit of a union is the log-sum-exp of its classes' logits, not their sum.
    """
    return torch.stack(
        [logits[:, list(group)].logsumexp(1) if len(group) > 1 else logits[:, min(group)] for group in groups], 1
    )


def merged_truth(truth: Truth, groups: Groups, classes: int) -> Truth:
    """Return the truth of the unions: each label's group, or the sum of the classes' channels."""
    if truth.regions is not None:
        channels = [truth.regions[:, list(group)] for group in groups]
        united = [x[:, 0] if x.shape[1] == 1 else x.sum(1).to(x.dtype) for x in channels]
        return replace(truth, regions=torch.stack(united, 1), weight=_weight_of(truth.weight, groups))
    assert truth.labels is not None
    table = [next(k for k, group in enumerate(groups) if label in group) for label in range(classes)]
    labels = torch.tensor(table, device=truth.labels.device)[known_labels(truth.labels, truth.ignore)]
    if truth.ignore is None:
        return replace(truth, labels=labels)
    return replace(truth, labels=labels.masked_fill(truth.labels == truth.ignore, -1), ignore=-1)


def merged_annotated(annotated: Tensor | None, groups: Groups) -> Tensor | None:
    """Return which unions are annotated, (N, groups): those of which every class is."""
    return None if annotated is None else torch.stack([annotated[:, list(group)].all(1) for group in groups], 1)


def _weight_of(weight: Tensor | None, groups: Groups) -> Tensor | None:
    """Return the weights per channel of the channels that are left; a weight for all channels as it is."""
    return weight if weight is None or weight.shape[1] == 1 else weight[:, [min(group) for group in groups]]


def truth_of_samples(truth: Truth, index: Tensor) -> Truth:
    """Return the truth of the samples with this index."""
    labels, regions, weight = (None if x is None else x[index] for x in (truth.labels, truth.regions, truth.weight))
    return replace(truth, labels=labels, regions=regions, weight=weight)


def chosen(value: Any, index: Tensor) -> Any:
    """Return a tensor's entries of some of the samples; anything else holds for all of them."""
    return value[index] if isinstance(value, Tensor) else value


def log_odds(logits: Tensor) -> Tensor:
    """Return the log-odds (N, C - 1, *S) of each foreground class against all others together."""
    classes = range(logits.shape[1])
    return logits[:, 1:] - merged_logits(logits, [[c for c in classes if c != label] for label in classes[1:]])


def check_regions(groups: Groups) -> None:
    """Raise ValueError for a group of several regions, which have no union."""
    if any(len(group) != 1 for group in groups):
        raise ValueError(f'groups are {[tuple(g) for g in groups]}, but link="sigmoid" has regions: expected one each')
