"""Weights that give each object the same total weight, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.components import numbered


class InverseSize(Auxiliary, name="inverse_size"):
    """Inverse component size (N, 1, *S): w = volume / ((J + 1) size of the voxel's component) (Shirokikh et al. 2020).

    The J components (full connectivity) are those of all foreground, and the background is one more; each mask has its
    own weights, (N, C, *S). Voxels that do not count leave the volume and the background, and have weight 0. `clip`
    limits the weights as the released code does; without it they are 1 on average.
    """

    clip: tuple[float, float] | None = (1.0, 2e5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip is not None and not 0 <= self.clip[0] <= self.clip[1]:
            raise ValueError(f"InverseSize.clip is {self.clip}, expected (low, high) with 0 <= low <= high, or None")

    def channels(self, truth: Tensor, classes: int) -> int:
        """Return 1 for labels."""
        return truth.shape[1] if truth.dtype == torch.bool else 1

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make one map of the labels, or one of each mask."""
        here = truth.cpu()
        if truth.dtype == torch.bool:
            foreground, counts = here, torch.ones_like(here)
        else:
            foreground, counts = ((here > 0) & (here < classes))[:, None], (here < classes)[:, None]
        maps = [self._weights(*each) for each in zip(foreground.flatten(0, 1), counts.flatten(0, 1), strict=True)]
        return torch.stack(maps).reshape(foreground.shape).to(truth.device)

    def _weights(self, foreground: Tensor, counts: Tensor) -> Tensor:
        numbers = numbered(foreground).long()
        sizes = torch.bincount(numbers[counts], minlength=1)
        weights = int(counts.sum()) / (len(sizes) * sizes.clamp(min=1).double())
        if self.clip is not None:
            weights = weights.clamp(*self.clip)
        return torch.where(counts, weights.float()[numbers], 0)
