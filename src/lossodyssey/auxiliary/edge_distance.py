"""The distance to where two labels meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.distance.transform import euclidean, precision

Form = Literal["exact", "whole"]
"""To the voxels on both sides of a border; or, in whole voxels less one, to those before it along an axis."""


class EdgeDistance(Auxiliary, name="edge_distance"):
    """Distance (N, 1, *S) of each voxel to the nearest one that shares a face with a voxel of another label.

    A voxel that does not count makes no border; the distance is 0 where there is no border at all. Each mask has its
    own map, (N, C, *S). `form="whole"` is the code of the active boundary loss: it looks at the next voxel along each
    axis only, makes every voxel that does not count a part of the border, and takes the whole part of the distance less
    1, at least 0.
    """

    form: Form = "exact"

    def channels(self, truth: Tensor, classes: int) -> int:
        """Return 1 for labels."""
        return truth.shape[1] if truth.dtype == torch.bool else 1

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make one map of the labels, or one of each mask."""
        masks = truth.dtype == torch.bool
        labels = truth.flatten(0, 1).to(torch.uint8) if masks else truth
        border = meeting(labels, 2 if masks else classes, both=self.form == "exact")
        distances = euclidean(~border, spacing)
        if self.form == "whole":
            distances = (distances - 1).clamp(min=0).floor()
        return distances.reshape(self.shape(truth, classes))


def meeting(labels: Tensor, classes: int, *, both: bool) -> Tensor:
    """Return the voxels (B, *S) that share a face with another label; with `both` False, along each axis the first."""
    known = labels < classes
    border = torch.zeros_like(known) if both else ~known
    for axis in range(1, labels.ndim):
        length = labels.shape[axis] - 1
        first, second = (labels.narrow(axis, start, length) for start in (0, 1))
        differ = first != second
        if both:
            differ = differ & known.narrow(axis, 0, length) & known.narrow(axis, 1, length)
            border.narrow(axis, 1, length).logical_or_(differ)
        border.narrow(axis, 0, length).logical_or_(differ)
    return border
