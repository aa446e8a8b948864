"""Centre lines and radii: whether tubes are followed, and whether they are as wide as they should be."""

from __future__ import annotations

from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, Depth, HardSkeleton
from lossodyssey.core.fields import Positive
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Weight
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy
from lossodyssey.losses.region.dice import Dice

Merge = Literal["sum", "max"]
"""How the foreground classes become one: by the sum of their probabilities, or by the greatest against class 0."""
Weights = Literal["radius", "equal"]
"""How the voxels of a centre line weigh: more where the tube is thin, or all alike."""
Tube = tuple[Tensor, Tensor, Tensor]
"""Of every voxel: its depth, and on the centre line the radius, both as shares of the largest radius, and a weight."""


class CenterlineBoundaryDice(
    GridLoss,
    paper="shi2024",
    range=(-inf, 1),
    alone=False,
    monotone=False,
    least_at_truth=False,
    without=("background",),
    aliases={"cbDice": {}, "CentrelineBoundaryDice": {}, "clMDice": {"weights": "equal"}},
):
    r"""Centreline boundary Dice (cbDice): each centre line must lie in the other mask, as deep as in its own.

    $1 - \frac{2 P R}{P + R}$ with $P = \frac{\sum L_s D_g + \epsilon}{\sum L_s (R_g \vee R_s) + \epsilon}$ and R with s
    and g exchanged, per sample, of all foreground as one class (under sigmoid of each channel). D is a voxel's depth
    in the mask, at most the largest radius on its skeleton, and R the depth on the skeleton, both divided by that
    radius; $R_g \vee R_s$ is $R_g$, and where that is 0 $R_s$. L weighs the skeleton,
    $\left(\frac{r_\max - r + r_\min}{r_\max}\right)^{d - 1}$ for a radius r and d axes, so that thin tubes count as
    much as thick ones; `weights="equal"` has L = 1 (clM-Dice). All three of the prediction are those of the hard mask,
    s > 1/2, times s.

    For vessels of many widths, beside Dice and cross entropy (`DiceCECenterlineBoundary`). It must not be alone: with
    the right hard mask it is 0 and has no gradient, however unsure the prediction is. Each mask is measured by its own
    largest radius, so tubes that are all too thin or all too thick cost nothing. It may fall below 0, and below its
    value at the truth, where each mask is thin and off centre inside a thick part of the other. Nothing pulls
    outside of the predicted mask, so it cannot begin a vessel that is missed.

    Distances are in voxels, or in the units of `spacing` where a call has it; multiplying it leaves the value. Both
    skeletons are thinned voxel by voxel on the CPU, that of the truth by a loader's worker. `merge="max"` compares the
    likeliest foreground class with class 0, as the authors' code does, which differs in more
    (`ReleasedCenterlineBoundaryDice`). The paper's text was not at hand.
    """

    weights: Weights = "radius"
    merge: Merge = "sum"
    smooth: Positive = 1.0

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"line": HardSkeleton(merged=True), "depth": Depth()}

    def formula(
        self, s: Tensor, line: Tensor, depth: Tensor, spacing: Tensor, valid: Tensor, exclusive: bool
    ) -> Tensor:
        p = merged(s, self.merge) if exclusive else s
        mask = p.detach() > 0.5
        own_line, own_depth = (made(mask, mask.shape[1], spacing).type_as(p) for made in self.auxiliaries().values())
        truth, found = tube(line * valid, depth, self.weights), scaled(tube(own_line, own_depth, self.weights), p)
        precision, recall = self.inside(found, truth), self.inside(truth, found)
        return 1 - 2 * precision * recall / (precision + recall)

    def inside(self, of: Tube, other: Tube) -> Tensor:
        """Return how much of a tube's centre line lies in the other tube, and how deep, (N, C)."""
        overlap, whole = overlaps(of, other)
        return (overlap + self.smooth) / (whole + self.smooth)


def merged(s: Tensor, merge: Merge) -> Tensor:
    """Return the probability (N, 1, *S) of the foreground, from those of its classes (N, C, *S)."""
    total = s.sum(1, keepdim=True)
    if merge == "sum":
        return total
    greatest = s.amax(1, keepdim=True)
    return greatest / (1 - total + greatest).clamp(min=torch.finfo(s.dtype).tiny)


def tube(line: Tensor, depth: Tensor, weights: Weights, least: float | None = None) -> Tube:
    """Return the parts of a tube with this centre line and depth (N, C, *S); `least` replaces its least radius."""
    space, radius = tuple(range(2, line.ndim)), line * depth
    largest = radius.amax(space, keepdim=True)
    smallest = torch.where(line > 0, radius, largest).amin(space, keepdim=True) if least is None else least
    largest = torch.where(largest > 0, largest, 1)
    if weights == "radius":
        axes = max(sum(n > 1 for n in line.shape[2:]), 1)
        line = line * ((largest - radius + smallest) / largest) ** (axes - 1)
    return torch.minimum(depth, largest) / largest, radius / largest, line


def scaled(parts: Tube, p: Tensor) -> Tube:
    """Return the parts of a tube times the probability of each voxel."""
    depth, radius, line = parts
    return depth * p, radius * p, line * p


def overlaps(of: Tube, other: Tube) -> tuple[Tensor, Tensor]:
    """Return the sums (N, C) along a centre line of the depth in the other tube, and of that where it is as deep."""
    _, radius, line = of
    depth, other_radius, _ = other
    expected = torch.where(other_radius > 0, other_radius, radius)
    overlap, whole = ((line * values).flatten(2).sum(2, dtype=torch.float64) for values in (depth, expected))
    return overlap, whole


@preset(paper="shi2024")
def DiceCECenterlineBoundary(dice: Weight = 1.0, ce: Weight = 2.0, centerline: Weight = 1.0) -> Sum:
    """Dice, cross entropy and centreline boundary Dice, with the weights of its authors' nnU-Net trainer.

    For vessels of many widths. Cross entropy has the weight of the other two together: it alone pulls at vessels that
    the prediction misses altogether.
    """
    return dice * Dice() + ce * CrossEntropy() + centerline * CenterlineBoundaryDice()
