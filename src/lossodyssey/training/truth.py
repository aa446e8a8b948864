"""The truth that a loss is told: exclusive classes under a softmax, or regions under a sigmoid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lossodyssey.core.class_weights import count_classes
from lossodyssey.core.criterion import Criterion
from lossodyssey.core.loss import Loss

Regions = Sequence[Sequence[int]]


def build_criterion(loss: Loss, regions: Regions = (), ignore: int | None = None) -> Criterion:
    """Put the loss under the link that the data ask for."""
    return Criterion(loss, link="sigmoid" if regions else "softmax", ignore=None if regions else ignore)


def truth_of(labels: Tensor, regions: Regions = (), ignore: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Return target and weight for labels (N, *S): a boolean channel per region, or the labels themselves."""
    if not regions:
        return labels, None
    target = torch.stack([inside(labels, region) for region in regions], dim=1)
    return target, None if ignore is None else labels != ignore


def inside(labels: Tensor, region: Sequence[int]) -> Tensor:
    """Return where labels are one of the region's."""
    return torch.isin(labels, torch.tensor(tuple(region), dtype=labels.dtype, device=labels.device))


def count_targets(
    label_maps: Iterable[Tensor], classes: int, regions: Regions = (), ignore: int | None = None
) -> list[int]:
    """Return the voxels of each class in a training set, or of each region, which may share them."""
    if not regions:
        return count_classes(label_maps, classes, ignore)
    maps = list(label_maps)
    return [sum(int(inside(labels, region).sum()) for labels in maps) for region in regions]
