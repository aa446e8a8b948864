"""The signed distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.normalized import Normalize, normalized
from lossodyssey.distance.fields import Zero, signed
from lossodyssey.distance.transform import precision


class SignedDistance(Auxiliary, name="phi"):
    """Signed distance (N, C, *S) of each voxel to each class's boundary, negative inside.

    0 for a class that is absent from a sample or fills it. `zero` is where the distance is 0; see `signed`.
    """

    zero: Zero = "inner"
    normalize: Normalize = None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the map of each class."""
        return normalized(signed(truth, classes, spacing, self.zero), spacing, self.normalize)
