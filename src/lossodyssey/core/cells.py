"""A partition of the voxels into cells: overlap losses make one ratio per cell, voxel losses a mean per cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey.core.lazy import lazy
from lossodyssey.kernels.request import accumulator


@dataclass(eq=False)
class Cells:
    """The number of the cell of each voxel, int64 (N, C, V) from 0 on, less than `most`; each channel has its own.

    `weight` (N, C, V) is how much a voxel counts, whatever its cell.
    """

    number: Tensor
    weight: Tensor
    most: int

    @classmethod
    def of(cls, number: Tensor, weight: Tensor | None, dtype: torch.dtype) -> Cells:
        """Return the partition by numbers (N, C, V), with the weights (N, 1 or C, V) of a pair."""
        counted = torch.ones_like(number, dtype=dtype) if weight is None else weight.expand_as(number)
        most = int(number.max()) + 1 if number.numel() else 1
        return cls(number.long(), counted, most)

    def total(self, values: Tensor) -> Tensor:
        """Return the sums (cells, 1) of values (N, C, V) over the voxels of each cell, those of all channels in turn.

        A channel with fewer cells than `most` has empty ones at its end.
        """
        empty = values.new_zeros((*self.number.shape[:2], self.most), dtype=accumulator(values))
        weighted = (values * self.weight).to(empty.dtype)
        return empty.scatter_add(2, self.number, weighted).reshape(-1, 1)

    @lazy
    def voxels(self) -> Tensor:
        """The sum of the weights of each cell, (cells, 1)."""
        return self.total(torch.ones_like(self.weight))

    @lazy
    def share(self) -> Tensor:
        """The weight of each cell in the mean, (cells, 1): the cells of a channel that count have 1 together."""
        counts = (self.voxels > 0).reshape(*self.number.shape[:2], self.most)
        share = counts / counts.sum(2, keepdim=True).clamp(min=1)
        return share.to(self.voxels.dtype).reshape(-1, 1)

    def share_of_voxels(self) -> Tensor:
        """Return the weight of each voxel (N, C, V) in a mean of means: that of its cell over the cell's voxels."""
        share = self.share / torch.where(self.voxels > 0, self.voxels, 1)
        of_cells = share.to(self.weight.dtype).reshape(*self.number.shape[:2], self.most)
        return of_cells.gather(2, self.number)
