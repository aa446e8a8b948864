"""The edge voxels of every class."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.distance.fields import edges, masks_of


class Edge(Auxiliary, name="edge"):
    """1 at each class's voxels (N, C, *S) that share a face with a voxel outside the class, else 0.

    With `border`, everything beyond the image's border counts as outside of every class.
    """

    border: bool = False

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the map of each class."""
        masks = masks_of(truth, classes)
        flat = masks.flatten(0, 1).contiguous()
        if not self.border:
            return edges(flat).reshape(masks.shape)
        # An axis of one voxel belongs to a plane in a volume: nothing lies beyond its ends.
        frame = [int(length > 1) for length in reversed(flat.shape[1:]) for _ in range(2)]
        found = edges(F.pad(flat, frame))
        for axis, length in enumerate(flat.shape[1:], start=1):
            found = found.narrow(axis, int(length > 1), length)
        return found.reshape(masks.shape)
