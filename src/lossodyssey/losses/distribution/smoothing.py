"""Losses against softened labels: a little of every class, or of the classes nearby."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossodyssey.core.fields import Fraction, Positive
from lossodyssey.core.grids import unflattened
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.kernels.boxes import blurred
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy


class LabelSmoothing(
    ViewLoss, paper="szegedy2016", least_at_truth=False, monotone=False, aliases={"LabelSmoothingCE": {}}
):
    r"""Label smoothing: any loss against a truth that is a little of every class.

    $L(s, (1 - \alpha) g + \alpha / C)$.

    For probabilities that are less sure, so that they can be trusted more. With the cross entropy it is PyTorch's
    `label_smoothing`. `smoothing=0` is the inner loss. Under sigmoid a channel has two classes, so its truth becomes
    $(1 - \alpha) g + \alpha / 2$. Voxels at borders and in the middle of objects are softened alike:
    `SpatialLabelSmoothing` tells them apart.
    """

    loss: Loss = CrossEntropy()
    smoothing: Fraction = 0.1

    def views(self, pair: Pair) -> list[View]:
        classes = 2 if pair.sigmoid else pair.classes
        g = (1 - self.smoothing) * pair.g + self.smoothing / classes
        return [(1.0, pair.with_truth(g, self.inner))]


class SpatialLabelSmoothing(
    ViewLoss, paper="islam2021", local=False, least_at_truth=False, monotone=False, aliases=("SVLS",)
):
    r"""Spatially varying label smoothing (SVLS): any loss against a truth mixed with that of the neighbouring voxels.

    $L(s, \frac{1}{2} (g + \bar g))$, with $\bar g$ the mean of g over the neighbours in the box of side 3, weighted by
    a Gaussian of their distance with the standard deviation `sigma`, in voxels.

    For borders on which annotators disagree: there labels become soft, inside objects they stay hard. A voxel's own
    class keeps at least half. Outside the image are the nearest voxels; neighbours that do not count are left out.
    The formula is that of the authors' code; the paper was not read.
    """

    loss: Loss = CrossEntropy()
    sigma: Positive = 1.0

    def views(self, pair: Pair) -> list[View]:
        return [(1.0, pair.with_truth((pair.g + self.around(pair)) / 2, self.inner))]

    def around(self, pair: Pair) -> Tensor:
        """Return the mean truth (N, C, V) of the neighbours, and the voxel's own where it has none."""
        share = math.exp(-1 / (2 * self.sigma**2))
        classes, voxels = (neighbours(unflattened(x, pair), share) for x in (pair.g * pair.valid, pair.valid))
        return torch.where(voxels > 0, classes / torch.where(voxels > 0, voxels, 1), pair.g)


def neighbours(layer: Tensor, share: float) -> Tensor:
    """Return the weighted sum (N, C, V) over the neighbours of each voxel of (N, C, *S), itself left out."""
    return (blurred(layer, share, replicate=True) - layer).flatten(2)
