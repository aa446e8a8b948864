"""The shape-aware loss: cross entropy that grows with the distance between the two contours."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, SignedDistance
from lossodyssey.core.kinds import VoxelLoss, quotient
from lossodyssey.core.pair import Pair
from lossodyssey.distance.fields import edges
from lossodyssey.kernels.powers import Factors, Power


class ShapeAware(VoxelLoss, paper="alarif2017", range=(0, inf), local=False):
    r"""Shape-aware cross entropy: a wrong voxel costs more, the farther apart the contours of prediction and truth are.

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
        (phi,), hard, truth = super().maps(pair), pair.hard_prediction("argmax"), pair.truth_for_maps
        extra = (
            extra_cost(mask_of(hard, label, pair), mask_of(truth, label, pair), phi[:, label])
            for label in range(pair.first_class(False), pair.classes)
        )
        if pair.sigmoid:
            return (1 + torch.stack([*extra], 1),)
        factor = torch.ones_like(pair.z[:, 0], dtype=pair.dtype)
        for each in extra:
            factor += each
            del each  # the next one is made beside it otherwise
        return (factor[:, None],)

    def formula(self, log_p: Tensor, labels: Tensor, factor: Tensor) -> Tensor:
        return -factor * log_p

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=1, of_map=0): 1}


def mask_of(hard: Tensor, label: int, pair: Pair) -> Tensor:
    """Return the mask (N, *S) of one class, of labels (N, *S) or of masks of all classes."""
    return hard[:, label] if hard.ndim == 2 + len(pair.shape) else hard == label


def extra_cost(predicted: Tensor, true: Tensor, phi: Tensor) -> Tensor:
    """Return the mean |phi| (N, V) over the contours of masks (N, *S), in voxels that differ from the true masks."""
    if not predicted.numel():  # an axis without voxels has no neighbours to compare
        return torch.zeros_like(phi)
    curve = edges(predicted.contiguous()).flatten(1)
    apart = quotient(torch.where(curve, phi, 0).abs_().sum(1), curve.sum(1))
    return torch.where((predicted ^ true).flatten(1), apart[:, None], 0)
