"""Dice of contours: the share of both surfaces that lies within a tolerance of the other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.kinds import quotient
from lossodyssey.kernels.contour import Shape, dilated, inner_contour

Tolerance = NonNegative | Literal["auto"]
"""A length in the units of the spacing; "auto" is 1.25 times the largest spacing of the sample."""


class ContourDice(GridLoss, paper="moltz2020", range=(0, 1), alone=False, monotone=False):
    r"""Contour Dice loss: the part of both contours that is farther than a tolerance from the other.

    $1 - \frac{\sum \partial g\, B(\partial s) + \sum \partial s\, B(\partial g)}{\sum \partial g + \sum \partial s}$,
    with the soft inner contour $\partial x = x - E(x)$, E the least value of a voxel's 3^d box, and B the greatest
    value within the `tolerance`, in mm where the call has a spacing.

    The surrogate of NSD (surface Dice at a tolerance) that can be trained with; beside a region loss,
    `Dice() + 0.1 * ContourDice()`, because a mask and its complement have almost the same contour, and contours
    farther apart than the tolerance do not attract each other. Classes without a true contour, absent or filling
    their sample, are left out of the mean. The paper's loss is a network that imitates this measure; the closed form
    follows Specktor-Fadida 2022, whose text was not at hand. Its peak memory is about 11 times the logits, because
    poolings and dilations keep an index per voxel.
    """

    tolerance: Tolerance = 1.0
    shape: Shape = "ball"

    def formula(self, s: Tensor, g: Tensor, valid: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
        ds, dg = inner_contour(s, valid), inner_contour(g, valid)
        bands = [widened(contour, valid, spacing, self.tolerance, self.shape) for contour in (ds, dg)]
        return unmatched(total(dg * bands[0]) + total(ds * bands[1]), total(dg), total(ds))


class SurfaceDiceDilation(GridLoss, paper="mist2025", range=(0, 1), alone=False, monotone=False, aliases=("SDDL",)):
    r"""Surface Dice by dilation: one minus the Dice overlap of both contours, widened by a tolerance.

    $1 - \frac{2 \sum B(\partial s) B(\partial g)}{\sum B(\partial s) + \sum B(\partial g)}$, with contours and
    widening as in `ContourDice`.

    Its `shape="box"` and `tolerance="auto"`, 1.25 times the largest spacing, are those of its only known source, the
    code of MIST 2; a "ball" is nearer to NSD, and slower. It compares volumes of bands, not surfaces, and the inverse
    of the truth scores better than an empty prediction: add it to a region loss, as `VolumetricSDDL` and `VesselSDDL`
    do. Classes without a true contour are left out of the mean, where the released code counts 1. Its peak
    memory is about 12 times the logits, because poolings and dilations keep an index per voxel.
    """

    tolerance: Tolerance = "auto"
    shape: Shape = "box"

    def formula(self, s: Tensor, g: Tensor, valid: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
        contours = [inner_contour(x, valid) for x in (s, g)]
        bs, bg = (widened(contour, valid, spacing, self.tolerance, self.shape) for contour in contours)
        return unmatched(2 * total(bs * bg), total(bg), total(bs))


def widened(contour: Tensor, valid: Tensor, spacing: Tensor, tolerance: Tolerance, shape: Shape) -> Tensor:
    """Return the contours (N, C, *S) dilated by the tolerance, 0 in voxels that do not count."""
    reach = 1.25 * spacing.amax(1) if tolerance == "auto" else torch.full_like(spacing[:, 0], tolerance)
    return torch.where(valid, dilated(contour, spacing, reach, shape), 0)


def total(x: Tensor) -> Tensor:
    """Return the sum over voxels, (N, C)."""
    return x.flatten(2).sum(2, dtype=torch.float64)


def unmatched(matched: Tensor, true: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1 - matched / (true + predicted) per sample and class, and which of them have a true contour."""
    present = true > 0
    # Written as a difference over the sum, which keeps its digits near the perfect prediction.
    whole = true + predicted
    return quotient(whole - matched, torch.where(present, whole, 0)) * present, present
