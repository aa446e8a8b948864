"""How deep inside the foreground a voxel lies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.skeleton import foreground
from lossodyssey.distance.transform import euclidean, precision


class Depth(Auxiliary, name="depth"):
    """Distance (N, 1, *S) of each voxel of the foreground to the nearest voxel outside of it, 0 outside.

    All classes of labels but class 0 are one foreground; each mask has its own map, (N, C, *S). The map is 1 everywhere
    in a sample that the foreground fills.
    """

    def channels(self, truth: Tensor, classes: int) -> int:
        """Return 1 for labels."""
        return truth.shape[1] if truth.dtype == torch.bool else 1

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make one map of the labels, or one of each mask."""
        bodies = foreground(truth, classes)
        depths = euclidean(bodies.flatten(0, 1), spacing).reshape(bodies.shape)
        full = bodies.flatten(2).all(2).reshape(*bodies.shape[:2], *[1] * (bodies.ndim - 2))
        return torch.where(full, 1, depths)
