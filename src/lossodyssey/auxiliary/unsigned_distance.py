"""The distance to an object from outside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.distance.fields import masks_of
from lossodyssey.distance.transform import euclidean, precision


class UnsignedDistance(Auxiliary, name="distance"):
    """Distance (N, C, *S) of each voxel to each class's nearest voxel: 0 inside the class, and where it is absent."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the map of each class."""
        masks = masks_of(truth, classes)
        return euclidean(~masks.flatten(0, 1), spacing).reshape(masks.shape)
