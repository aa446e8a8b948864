"""Smooth random displacements of the voxels of a patch.

nnU-Net's first version deforms a fifth of the patches: it smooths uniform noise by a Gaussian of 9 to 13 voxels and
multiplies it by up to 900. That is a displacement with a deviation of up to 2 voxels that changes over some 11 voxels.
Here knots that lie as far apart as the width of the Gaussian take the place of the noise, which gives the same field at
a thousandth of its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIGMA = 11.0  # voxels of the finest axis
LARGEST = 2.0  # deviation of the displacement, in these voxels
REACH = 3.0  # deviations at which a displacement is cut off


@dataclass(frozen=True, slots=True)
class Deformation:
    """Normal numbers `knots` (D, *K), `sigma` voxels apart, and the deviation of the displacement in voxels."""

    knots: NDArray[np.float32]
    sigma: tuple[float, ...]
    deviation: tuple[float, ...]


def draw_deformation(
    rng: np.random.Generator, patch: Sequence[int], spacing: Sequence[float], probability: float
) -> Deformation | None:
    """Draw the deformation of a patch; None where it has none. It is alike along all axes in mm."""
    finer = [min(spacing) / size for size in spacing]
    sigma = tuple(SIGMA * share for share in finer)
    shape = [_knots(size, width) for size, width in zip(patch, sigma, strict=True)]
    happens, deviation = rng.random() < probability, rng.uniform(0, LARGEST)
    knots = rng.standard_normal((len(patch), *shape), np.float32)
    return Deformation(knots, sigma, tuple(deviation * share for share in finer)) if happens else None


def _knots(size: int, sigma: float) -> int:
    """Return the number of knots along an axis, two of them beyond each end."""
    return int(np.ceil(size / sigma)) + 5


def reach_of(elastic: Sequence[Deformation | None], dimensions: int) -> NDArray[np.float64]:
    """Return the largest displacement along each axis, in voxels."""
    found = [REACH * np.array(each.deviation) for each in elastic if each]
    return np.max(found, axis=0) if found else np.zeros(dimensions)


def displacement(elastic: Sequence[Deformation | None], patch: Sequence[int], box: Sequence[int]) -> Tensor:
    """Return what is added to a grid of `grid_sample` over a box, (N, *patch, D): axes backwards, in half boxes."""
    fields = [_field(each, patch) if each else torch.zeros(len(patch), *patch) for each in elastic]
    scale = torch.tensor([2 / size for size in box]).reshape(-1, *(1,) * len(patch))
    return torch.stack([(field * scale).flip(0).movedim(0, -1) for field in fields])


def _field(deformation: Deformation, patch: Sequence[int]) -> Tensor:
    """Compute the displacement (D, *patch) in voxels."""
    field = torch.from_numpy(deformation.knots)
    for axis, (size, sigma) in enumerate(zip(patch, deformation.sigma, strict=True), start=1):
        field = (field.movedim(axis, -1) @ _bumps(size, field.shape[axis], sigma)).movedim(-1, axis)
    deviation = torch.tensor(deformation.deviation, dtype=torch.float32).reshape(-1, *(1,) * len(patch))
    return field.clamp(-REACH, REACH) * deviation


def _bumps(size: int, knots: int, sigma: float) -> Tensor:
    """Return the weight (knots, size) of each knot at each voxel, under which the field has the deviation 1."""
    middle = (knots - 1) / 2
    places = (torch.arange(size) - (size - 1) / 2) / sigma
    bumps = torch.exp(-((places - (torch.arange(knots) - middle)[:, None]) ** 2) / 2)
    weights: Tensor = bumps / bumps.norm(dim=0)
    return weights
