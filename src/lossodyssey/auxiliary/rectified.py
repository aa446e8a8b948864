"""The rectified region-wise map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.normalized import per_map
from lossodyssey.distance.fields import masks_of
from lossodyssey.distance.transform import euclidean, inside, precision


class RectifiedMap(Auxiliary, name="rectified"):
    """Rectified region-wise map (N, C, *S): -d / max d inside a class, +1 outside (Valverde and Tohka 2021).

    d is the distance to the outside. An absent class has +1 everywhere, a class that fills its sample -1.
    """

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the map of each class."""
        masks = masks_of(truth, classes)
        depth = _depth(truth, masks, spacing) * masks
        deepest = per_map(depth.flatten(2).amax(2), depth)
        return torch.where(masks, -torch.where(deepest > 0, depth / torch.where(deepest > 0, deepest, 1), 1), 1.0)


def _depth(truth: Tensor, masks: Tensor, spacing: Sequence[float] | None) -> Tensor:
    """Return the distance of each voxel to the outside of its own region, (N, 1 or C, *S)."""
    if truth.dtype != torch.bool:
        return inside(truth, spacing)[:, None]
    return euclidean(masks.flatten(0, 1), spacing).reshape(masks.shape)
