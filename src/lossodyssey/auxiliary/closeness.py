"""The closeness to the boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.normalized import per_map
from lossodyssey.distance.fields import masks_of
from lossodyssey.distance.transform import inside, precision


class Closeness(Auxiliary, name="penalty"):
    """Closeness to the boundary, 1 at a region's border voxels, 0 at its deepest one (Caliva et al. 2019).

    (N, 1, *S) over the regions of labels, (N, C, *S) over the inside and outside of masks. A region without depth
    (one voxel wide) has 1 everywhere, a region that fills its sample 0.
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
        if truth.dtype == torch.bool:
            return torch.cat([self.make(mask.to(torch.uint8), 2, spacing) for mask in truth.unbind(1)], 1)
        depth = inside(truth, spacing)[:, None]
        masks = masks_of(truth, classes + 1)  # one more: ignored voxels are a region of their own
        deepest = per_map(torch.where(masks, depth, -math.inf).flatten(2).amax(2), depth)
        nearest = per_map(torch.where(masks, depth, math.inf).flatten(2).amin(2), depth)
        span = deepest - nearest
        close = torch.where(span > 0, (deepest - depth) / torch.where(span > 0, span, 1), (deepest > 0).float())
        return torch.where(masks, close, 0).sum(1, keepdim=True)
