"""How much of an image each class fills."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.normalized import per_map
from lossodyssey.distance.fields import masks_of


class ClassFrequency(Auxiliary, name="class_frequency"):
    """Share (N, C, 1, ..., 1) of each class among the voxels of a sample that count; 0 where none counts."""

    def shape(self, truth: Tensor, classes: int) -> tuple[int, ...]:
        """Return the shape of one number per sample and class."""
        _, channels, *space = super().shape(truth, classes)
        return len(truth), channels, *[1] * len(space)

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the share of each class."""
        masks = masks_of(truth, classes)
        counts = masks if truth.dtype == torch.bool else truth[:, None] < classes
        voxels = counts.flatten(2).sum(2) if truth.dtype != torch.bool else masks[0, 0].numel()
        shares = masks.flatten(2).sum(2).double() / torch.as_tensor(voxels).clamp(min=1)
        return per_map(shares.float(), masks)
