"""The active contour: an area that is right within a short contour."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.kinds import quotient
from lossodyssey.kernels.contour_length import contour_length


class ActiveContour(
    GridLoss,
    paper="chen2019",
    range=(0, inf),
    alone=False,
    monotone=False,
    least_at_truth=False,
    aliases=("ActiveContourLoss",),
):
    r"""Active contour loss: the area that is wrong, and the length of the predicted contour.

    $\frac{1}{N} \sum_i \sqrt{|\nabla s_i|^2 + 10^{-8}} + \frac{\lambda}{N} \sum_i \left(\mu s_i (1 - g_i)^2
    + (1 - s_i) g_i^2\right)$ per class, with differences between neighbours; $\lambda$ is `region`, $\mu$ is `inside`.

    For objects with smooth outlines. The paper trains with it alone; small, thin or ragged objects, whose contour is
    long for their area, may cost less when they are left out, so add a region loss or raise `region`. The true contour
    has a length too, and the perfect prediction costs something. Differences are per unit of `spacing`; at the image's
    border, and next to voxels that do not count, they are 0. They are taken forward, as the mean over the mirror
    images, so that no direction is preferred; the norms and their gradient are computed a class at a time, in all with
    several times the memory of the logits.

    The authors' code knows images of 256 x 256 pixels and one class only, and takes the differences along the two
    axes at different pixels (`ReleasedActiveContour`).
    """

    region: NonNegative = 1.0
    inside: NonNegative = 1.0

    def formula(self, s: Tensor, g: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
        wrong = self.inside * s * (1 - g) ** 2 + (1 - s) * g**2
        return self.length(s, weight, spacing) + self.region * weighted_mean(wrong, weight)

    def length(self, s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
        """Return the length of the contours of s per voxel that counts, (N, C)."""
        counted = weight.flatten(2).sum(2, dtype=torch.float64)
        return quotient(contour_length(s, weight, spacing), counted)

    def share(self, weight: Tensor) -> Tensor:
        """Return how many voxels count: the mean is over voxels, whatever sample they are in."""
        return weight.sum(2, dtype=torch.float64)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean (N, C) of values (N, C, *S) over the voxels, each times its weight."""
    counted = weight.flatten(2).sum(2, dtype=torch.float64)
    return quotient((values * weight).flatten(2).sum(2, dtype=torch.float64), counted)
