"""The shape-aware loss: cross entropy that grows with the distance between the two contours."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, SignedDistance
from lossodyssey.core.grids import class_masks
from lossodyssey.core.kinds import VoxelLoss, quotient
from lossodyssey.core.pair import Pair
from lossodyssey.distance.fields import edges


class ShapeAware(VoxelLoss, paper="alarif2017", range=(0, inf), local=False):
    r"""Shape-aware cross entropy: a wrong voxel costs the more the farther the contours of prediction and truth are.

    $-\frac{1}{N} \sum_i (1 + \sum_c E_c [i \in S_c \triangle G_c]) \log p_i$, where $E_c$ is the mean distance from the
    contour of the hard prediction $S_c$ to that of the truth $G_c$, per sample and foreground class, without gradient.

    For single objects of a known shape, such as vertebrae. It follows descriptions of the paper, whose text was not
    at hand: one distance per contour, and the voxels in which the two masks differ, are remembered, and the mean over
    voxels stands for the paper's sum. A contour is made of the voxels of a mask that have a face neighbour outside;
    the image's border is not one. E is 0 where the class is absent or fills the sample, in the truth or in the
    prediction; the loss is `CrossEntropy` where that holds for every class. Distances are in units of `spacing`.
    """

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"phi": SignedDistance()}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        first = pair.first_class(False)
        phi = super().maps(pair)[0][:, first:]
        predicted, true = (
            class_masks(hard, pair, first) for hard in (pair.hard_prediction("argmax"), pair.truth_for_maps)
        )
        apart = mean_distance(predicted, phi)
        extra = apart[..., None] * (predicted ^ true).flatten(2)
        return (1 + (extra if pair.sigmoid else extra.sum(1, keepdim=True)),)

    def formula(self, log_p: Tensor, labels: Tensor, factor: Tensor) -> Tensor:
        return -factor * log_p


def mean_distance(masks: Tensor, phi: Tensor) -> Tensor:
    """Return the mean |phi| (N, C, V) over the contours of masks (N, C, *S), (N, C); 0 without a contour."""
    if not masks.numel():  # an axis without voxels has no neighbours to compare
        return phi.sum(2)
    curve = edges(masks.flatten(0, 1).contiguous()).reshape(phi.shape)
    return quotient(torch.where(curve, phi.abs(), 0).sum(2), curve.sum(2))
