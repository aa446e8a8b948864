"""The signed distance as a share of the largest one on its side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.normalized import per_map
from lossodyssey.distance.fields import edges, masks_of, signed
from lossodyssey.distance.transform import precision


class SignedShare(Auxiliary, name="signed_share"):
    """Signed distance (N, C, *S) to each class's boundary, each side divided by its largest: -1 inside to 1 outside.

    An absent class has 1 everywhere, a class that fills its sample -1. `zero` is "inner", distances to the edge
    voxels of the object; or "jump", distances to the other side, and 0 at the edge voxels all the same (Xue et al.
    2020, as it is commonly implemented).
    """

    zero: Literal["inner", "jump"] = "inner"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the map of each class."""
        masks = masks_of(truth, classes)
        distances = signed(truth, classes, spacing, "inner" if self.zero == "inner" else "none")
        shares = share(distances) - share(-distances)
        if self.zero == "jump":
            shares = torch.where(edges(masks.flatten(0, 1)).reshape(masks.shape), 0, shares)
        some, all_ = (per_map(found, masks) for found in (masks.flatten(2).any(2), masks.flatten(2).all(2)))
        return torch.where(some & ~all_, shares, torch.where(some, -1.0, 1.0))


def share(distances: Tensor) -> Tensor:
    """Return the positive part of distances (N, C, *S) divided by its largest value; 0 where there is none."""
    largest = per_map(distances.flatten(2).amax(2), distances)
    return distances.clamp(min=0) / torch.where(largest > 0, largest, 1)
