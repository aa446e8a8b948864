"""The shape of soft regions: size, centroid, spread and length."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.core.kinds import ratio
from lossodyssey.core.lazy import lazy

LEAST = 1e-8
"""Added to a variance in squared voxels, because the square root has no gradient at 0."""


@dataclass(frozen=True, eq=False)
class Shape:
    """The shape of soft regions x (N, C, *S), 0 where a voxel is not `valid`; each descriptor is (N, C, numbers).

    Voxels have the size `spacing` (N, S). Sums along lines are made first, so that no map of coordinates is.
    """

    x: Tensor
    valid: Tensor
    spacing: Tensor

    @lazy
    def axes(self) -> list[int]:
        """The spatial axes of more than one voxel: a place along any other axis has no meaning."""
        return [axis for axis, length in enumerate(self.x.shape[2:]) if length > 1]

    @lazy
    def lines(self) -> list[Tensor]:
        """The sums over all other axes, (N, C, length) for each axis."""
        others = [[other + 2 for other in range(self.x.ndim - 2) if other != axis] for axis in self.axes]
        return [(self.x.sum(rest) if rest else self.x).double() for rest in others]

    @lazy
    def places(self) -> list[Tensor]:
        """The places of the voxels along each axis, (N, 1, length)."""
        steps = self.steps.unbind(2)
        return [
            step[..., None] * torch.arange(line.shape[2], device=line.device)
            for step, line in zip(steps, self.lines, strict=True)
        ]

    @property
    def steps(self) -> Tensor:
        """The size of a voxel along each axis, (N, 1, axes)."""
        return self.spacing.double()[:, None, self.axes]

    @lazy
    def voxels(self) -> Tensor:
        """The sum of x, (N, C, 1)."""
        return self.x.flatten(2).sum(2, keepdim=True, dtype=torch.float64)

    @property
    def size(self) -> Tensor:
        """Area or volume."""
        return self.voxels * self.spacing.double().prod(1)[:, None, None]

    @lazy
    def centroid(self) -> Tensor:
        """The mean place along each axis, from the middle of the first voxel."""
        return self.mean(self.places)

    @property
    def spread(self) -> Tensor:
        """The standard deviation of the place along each axis."""
        centres = self.centroid.unbind(2)
        squares = [(place - centre[..., None]) ** 2 for place, centre in zip(self.places, centres, strict=True)]
        return (self.mean(squares) + LEAST * self.steps**2).sqrt()

    @property
    def length(self) -> Tensor:
        """The sum of squared steps between neighbours by face, edge or corner."""
        return neighbour_steps(self.x, self.valid, self.spacing)[..., None]

    def mean(self, values: list[Tensor]) -> Tensor:
        """Return the mean under x of values along each axis, (N, C, axes)."""
        sums = [(line * each).sum(2) for line, each in zip(self.lines, values, strict=True)]
        return ratio(torch.stack(sums, 2), self.voxels) if sums else self.voxels[..., :0]


def neighbour_steps(x: Tensor, valid: Tensor, spacing: Tensor) -> Tensor:
    r"""Return the sum of (x_i - x_j)^2 over valid neighbours by face, edge or corner, (N, C).

    Each pair counts the size of a voxel times the ratio of its distance in voxels to that in units of `spacing`: 1
    where the spacing is 1, and in all a length (in a volume an area) that scales with the spacing.
    """
    # The sum over pairs is that of x_i (number of neighbours x_i - sum of neighbours): no pair needs a map of its own.
    inside = torch.where(valid, x.new_ones(()), 0)
    around, number = around_each(x, spacing), around_each(inside, spacing)
    return (x * (number * x - around)).flatten(2).sum(2, dtype=torch.float64)


def around_each(x: Tensor, spacing: Tensor) -> Tensor:
    """Return the weighted sum (N, C, *S) of the neighbours of each voxel; outside of the image is nothing."""
    total, size = torch.zeros_like(x), spacing.prod(1)
    axes = range(spacing.shape[1])
    for count in range(1, len(axes) + 1):
        for moved in combinations(axes, count):
            apart = (spacing[:, list(moved)] ** 2).sum(1).sqrt()
            weight = (size * count**0.5 / apart).reshape(-1, *[1] * (x.ndim - 1))
            total = total + weight * both_ways(x, moved)
    return total


def both_ways(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the sum of the 2^k voxels one step away along each of k spatial axes, in all pairs of directions."""
    for axis in axes:
        length = x.shape[axis + 2]
        pad = [0, 0] * (x.ndim - 3 - axis) + [1, 1]
        wide = F.pad(x, pad)
        x = wide.narrow(axis + 2, 0, length) + wide.narrow(axis + 2, 2, length)
    return x
