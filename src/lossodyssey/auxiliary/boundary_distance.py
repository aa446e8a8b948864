"""The unsigned distance to the boundary, on both sides of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.normalized import Normalize, normalized
from lossodyssey.distance.fields import two_sided
from lossodyssey.distance.transform import precision


class BoundaryDistance(Auxiliary, name="boundary_distance"):
    """Distance (N, C, *S) of each voxel to the other side of each class's boundary; see `two_sided`.

    0 for a class that is absent from a sample or fills it.
    """

    normalize: Normalize = None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the map of each class."""
        return normalized(two_sided(truth, classes, spacing), spacing, self.normalize)
