"""Whether two grids of equal shape are the same one: rounding in a header is, another origin is not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy
from numpy.typing import NDArray

Affine = NDArray[numpy.float64]

ROUNDING = 1e-3  # mm; headers are rewritten in float32 and in decimals
DOUBTFUL = 5e-3  # mm


@dataclass(frozen=True)
class Misfit:
    """How two affines differ: the largest difference of their entries, and how far apart a corner lies, in mm.

    `voxel` is the smallest spacing: both limits also shrink with it, because a micrometre is a voxel to a microscope.
    """

    entry: float
    corner: float
    voxel: float

    @property
    def negligible(self) -> bool:
        """Whether the difference is rounding, and no corner is off by more than a twentieth of a voxel."""
        return self.entry <= min(ROUNDING, self.voxel / 100) and self.corner <= self.voxel / 20

    @property
    def too_large(self) -> bool:
        """Whether the grids differ, because voxels of equal index lie in different places."""
        return self.entry > min(DOUBTFUL, self.voxel / 20) or self.corner > self.voxel / 2

    def __str__(self) -> str:
        return f"{self.entry:.4g}" + (f" ({self.corner:.4g} mm at a corner)" if self.corner > self.entry else "")


def misfit(first: Affine, other: Affine, shape: tuple[int, ...]) -> Misfit:
    """Compare the affines of two grids of the same `shape`."""
    # A small rotation moves nothing at the origin and the far corner by voxels, so all corners are compared.
    dims = first.shape[0] - 1
    ends = [(0, size - 1) for size in (*shape, 1, 1)[:dims]]
    corners = numpy.array([(*corner, 1) for corner in product(*ends)], dtype=numpy.float64)
    apart = numpy.linalg.norm(corners @ (first - other).T, axis=1)
    # The columns of an affine are the steps along the array axes: their lengths are the spacing.
    voxel = numpy.linalg.norm(first[:-1, :-1], axis=0).min()
    return Misfit(float(numpy.abs(first - other).max()), float(apart.max()), float(voxel))
