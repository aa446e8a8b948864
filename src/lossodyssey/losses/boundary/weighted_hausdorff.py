"""The weighted Hausdorff distance: how far the prediction lies from the points of the truth, and they from it."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lossodyssey.auxiliary import Auxiliary, UnsignedDistance
from lossodyssey.core.fields import Interval
from lossodyssey.core.grids import CriticalLoss

LEAST = 1e-6
"""Added to distances before their generalised mean, and to the sum of probabilities, as in the authors' code."""
AT_ONCE = 1 << 22
"""Distances between points and voxels that are held in memory at a time."""


class WeightedHausdorff(
    CriticalLoss, paper="ribera2019", range=(0, inf), monotone=False, aliases=("WHD", "WeightedHausdorffDistance")
):
    r"""Weighted Hausdorff distance: how far the prediction lies from the truth, plus how far the truth lies from it.

    $\frac{1}{\sum_i s_i} \sum_i s_i \min_{y \in Y} d(i, y) + \frac{1}{|Y|} \sum_{y \in Y} M_{i} \left[ s_i d(i, y)
    + (1 - s_i) d_{max} \right]$ per sample and class, with the voxels Y of the true class, the image's diagonal
    $d_{max}$ and the generalised mean $M x = (\frac{1}{|\Omega|} \sum_i x_i^{-q})^{-1/q}$ over all voxels, which
    is between the minimum and $|\Omega|^{1/q}$ times it.

    Made to find objects, which `marks="centroid"` marks by one point per sample and class; with "voxels" it compares
    segmentations. The value is a length in the units of the spacing, and 2e-6 or so at the perfect prediction, because
    no distance is counted as less than 1e-6. A class that is absent costs $d_{max}$ times its mean probability.

    The second term compares every voxel of the image with every point of Y: it takes some eighty times as long as
    `DiceCE` on volumes. Of more than `most` voxels, evenly chosen ones stand for Y there; the first term sees them all.
    """

    marks: Literal["voxels", "centroid"] = "voxels"
    q: Annotated[float, Interval(1, 100)] = 9.0
    most: Annotated[int, Interval(1)] = 64

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"distance": UnsignedDistance()}

    def points(self, true: Tensor, valid: Tensor, distance: Tensor, spacing: Tensor) -> tuple[Tensor, ...]:
        index = valid.flatten().nonzero()[:, 0]
        places, voxels = (mask.nonzero() * spacing for mask in (valid, true))
        # An axis of one voxel has no extent: a plane is a flat volume.
        longest = (spacing * spacing.new_tensor([n if n > 1 else 0 for n in valid.shape])).norm()
        if self.marks == "voxels" or not len(voxels):
            return index, distance.flatten()[index], places, evenly(voxels, self.most), longest
        centroid = voxels.mean(0, keepdim=True)
        return index, (places - centroid).norm(dim=1), places, centroid, longest

    def formula(self, s: Tensor, nearest: Tensor, places: Tensor, marks: Tensor, longest: Tensor) -> Tensor:
        if not len(marks):
            return s.mean(dtype=torch.float64) * longest
        away = (s * nearest).sum(dtype=torch.float64) / (s.sum(dtype=torch.float64) + LEAST)
        # Computed again for the backward pass: what it needs is as large as all the distances.
        reached = [
            checkpoint(self.reach, s, places, some, longest, use_reentrant=False, preserve_rng_state=False)
            for some in torch.split(marks, max(1, AT_ONCE // len(places)))
        ]
        return away + torch.cat(reached).mean(dtype=torch.float64)

    def reach(self, s: Tensor, places: Tensor, marks: Tensor, longest: Tensor) -> Tensor:
        """Return the generalised mean over voxels for each mark (K,): about the distance to what is predicted."""
        distances = torch.cdist(marks, places, compute_mode="donot_use_mm_for_euclid_dist")
        length = torch.addcmul((1 - s) * longest + LEAST, s, distances)
        # Relative to the least, because 1e-6 to the power of -9 leaves the range of float32.
        least = length.detach().amin(1, keepdim=True)
        return least[:, 0] * ((least / length) ** self.q).mean(1) ** (-1 / self.q)


def evenly(rows: Tensor, most: int) -> Tensor:
    """Return `most` of the rows, at even distances in their order, or all where there are no more."""
    if len(rows) <= most:
        return rows
    return rows[torch.arange(most, device=rows.device) * len(rows) // most]
