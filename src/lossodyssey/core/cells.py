"""A partition of the voxels into cells: overlap losses make one ratio per cell, voxel losses a mean per cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey.core.lazy import lazy
from lossodyssey.kernels import transformed
from lossodyssey.kernels.request import accumulator

LANES = 4
"""Accumulators that neighbouring voxels of one cell use in turn: with one alone, additions take three times as long."""


@dataclass(eq=False)
class Cells:
    """The cells of the voxels, numbered in each channel from 0 on; each makes one unit of a mean.

    `key` (N, C, V) is a voxel's place in a table (N, C, most, 2, `LANES`) of cells by whether the voxel is true; with a
    soft truth no voxel is. `weight` (N, 1 or C, V) is how much a voxel counts, None where all do. With `common`, cell 0
    belongs to the units of all other cells of its channel, and is not a unit itself.
    """

    key: Tensor
    size: tuple[int, int, int]
    weight: Tensor | None
    hard: bool
    common: bool = False

    @classmethod
    def of(cls, number: Tensor, inside: Tensor | None, weight: Tensor | None, *, common: bool = False) -> Cells:
        """Return the partition by numbers (N, C, V), the truth `inside` unless it is soft, and the weights."""
        most = int(number.max()) + 1 if number.numel() else 1
        size = (number.shape[0], number.shape[1], most)
        step = 2 * LANES * most
        places = step * size[0] * size[1]
        # Half as many bytes as int64, wherever they are enough.
        dtype = torch.int32 if places < 2**31 and number.device.type == "cpu" else torch.int64
        rows = torch.arange(0, places, step, dtype=dtype, device=number.device).reshape(*size[:2], 1)
        key = torch.add(rows, number, alpha=2 * LANES)
        key += torch.arange(number.shape[2], dtype=dtype, device=number.device) % LANES
        if inside is not None:
            key.add_(inside, alpha=LANES)
        return cls(key, size, weight, inside is not None, common)

    def total(self, values: Tensor) -> Tensor:
        """Return the sums (units, 1) of values (N, C, V), those of all channels in turn.

        A channel with fewer cells than `most` has empty ones at its end.
        """
        return self.by_truth(values).sum(1, keepdim=True)

    def by_truth(self, values: Tensor) -> Tensor:
        """Return the sums (units, 2) of values (N, C, V) over the false voxels of each unit, and over the true ones."""
        return self._units(self._table(values if self.weight is None else values * self.weight))

    def _table(self, values: Tensor) -> Tensor:
        """Return the sums (N, C, most, 2) of values (N, C, V) by key."""
        n, c, most = self.size
        found: Tensor = _by_key(values, self.key, 2 * LANES * most * n * c)
        return found.reshape(n, c, most, 2, LANES).sum(4)

    def _units(self, table: Tensor) -> Tensor:
        """Return the rows (units, 2) of a table by key."""
        return (table[:, :, 1:] + table[:, :, :1] if self.common else table).reshape(-1, 2)

    @lazy
    def _voxels(self) -> Tensor:
        """The sums of the weights by key, (N, C, most, 2)."""
        if self.weight is not None:
            return self._table(self.weight.expand(self.key.shape))
        n, c, most = self.size
        counts = torch.bincount(self.key.flatten(), minlength=2 * LANES * most * n * c)
        return counts.reshape(n, c, most, 2, LANES).sum(4).to(accumulator(counts))

    @lazy
    def voxels(self) -> Tensor:
        """The weights of the false and of the true voxels of each unit, (units, 2)."""
        return self._units(self._voxels)

    @lazy
    def share(self) -> Tensor:
        """The weight of each unit in the mean, (units, 1).

        The cells of a channel that count have 1 together; with `common`, those of a sample.
        """
        found = self._voxels[:, :, 1:].sum(3) if self.common else self._voxels.sum(3)
        counts = (found > 0).to(self._voxels.dtype)
        together = counts.sum((1, 2) if self.common else 2, keepdim=True)
        return (counts / together.clamp(min=1)).reshape(-1, 1)

    def share_of_voxels(self, dtype: torch.dtype) -> Tensor:
        """Return the weight of each voxel (N, C, V) in a mean of means: that of its unit over the unit's voxels."""
        n, c, most = self.size
        size = self.voxels.sum(1, keepdim=True)
        share = (self.share / torch.where(size > 0, size, 1)).reshape(n, c, most - self.common)
        if self.common:  # a voxel of cell 0 is in every unit
            share = torch.cat([share.sum(2, keepdim=True), share], 2)
        table = share.to(dtype)[..., None].expand(n, c, most, 2 * LANES).reshape(-1)
        return _looked_up(table, self.key)


def _looked_up(table: Tensor, key: Tensor) -> Tensor:
    return table.index_select(0, key.flatten()).reshape(key.shape)


def _by_key(values: Tensor, key: Tensor, size: int) -> Tensor:
    """Return the sums (size,) of values by key."""
    if values.device.type == "cpu" and not transformed():
        found: Tensor = _Sums.apply(values, key, size)  # type: ignore[no-untyped-call]
        return found
    empty = values.new_zeros(size, dtype=accumulator(values))
    return empty.scatter_add(0, key.flatten().long(), values.flatten().to(empty.dtype))


class _Sums(torch.autograd.Function):
    """Sums by key, whose gradient is looked up in the precision of the values: half the memory of `scatter_add`."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor, key: Tensor, size: int) -> Tensor:
        ctx.key, ctx.dtype = key, values.dtype  # type: ignore[attr-defined]
        return torch.bincount(key.flatten(), values.double().flatten(), minlength=size)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _looked_up(gradients[0].to(ctx.dtype), ctx.key), None, None  # type: ignore[attr-defined]
