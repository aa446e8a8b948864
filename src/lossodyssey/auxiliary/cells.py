"""The Voronoi cells of each class's components."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.components import numbered, objects_of
from lossodyssey.auxiliary.nearest import nearest


class Cells(Auxiliary, name="cells"):
    """Number (N, C, *S) of each class's component that is nearest to the voxel; see `Components`, full connectivity.

    Of components at equal distances the one with the lowest number is taken. A class without components, such as the
    background of labels, has one cell: the whole image.
    """

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of numbers."""
        return torch.int32

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the cells of each class."""
        masks = objects_of(truth, classes)
        steps = spacing or [1.0] * (masks.ndim - 2)
        cells = [_cells(mask, steps) for mask in masks.flatten(0, 1)]
        return torch.stack(cells).reshape(masks.shape).to(truth.device)


def _cells(mask: Tensor, spacing: Sequence[float]) -> Tensor:
    numbers = numbered(mask)
    return nearest(numbers, spacing) if numbers.max() > 1 else torch.ones_like(numbers)
