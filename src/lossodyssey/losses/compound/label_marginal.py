"""Cross entropy beside a comparison of the sizes of classes: their true and their predicted shares of the image."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.kinds import OverlapLoss, quotient
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Weight
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy

LEAST = 1e-10
"""The number that is added to every share before its logarithm is taken."""


class MarginalKL(
    OverlapLoss,
    paper="liu2021",
    range=(0, inf),
    alone=False,
    monotone=False,
    without=("background", "smooth", "pooled", "absent", "class_weights"),
):
    r"""Label-marginal KL divergence: how far the predicted sizes of the classes are from the true ones.

    $\sum_c \bar g_c \log \frac{\bar g_c}{\bar s_c}$ with the means of g and s over the voxels of each sample.

    Beside cross entropy (`CrossEntropyMarginalKL`), against its bias towards frequent classes. It sees sizes and not
    places. Under sigmoid it is the sum of the divergences of every channel's foreground and background. The formula is
    that of the authors' code; the paper was not read.
    """

    background: bool = True

    def formula(self, s: Tensor, g: Tensor, n: Tensor, foreground: Tensor) -> Tensor:
        s, g = quotient(s, n), quotient(g, n)
        # Where no class is background, each has one of its own: the rest of the image.
        rest = torch.where(foreground.all(), divergence(1 - g, 1 - s), 0)
        return (divergence(g, s) + rest).sum(1, keepdim=True)


class MarginalL1(
    OverlapLoss, paper="liu2021", range=(0, 1), alone=False, monotone=False, without=("smooth", "pooled", "absent")
):
    r"""Label-marginal L1 distance: the mean difference of the predicted and the true sizes of the classes.

    $\frac{1}{C} \sum_c |\bar s_c - \bar g_c|$ with the means of s and g over the voxels of each sample.

    Beside cross entropy (`CrossEntropyMarginalL1`). It is `AverageCalibrationError(bins=1, absent="count")`. The
    formula is that of the authors' code; the paper was not read.
    """

    background: bool = True

    def formula(self, s: Tensor, g: Tensor, n: Tensor) -> Tensor:
        return quotient((s - g).abs(), n)


@preset(paper="liu2021", aliases=("CEMarginalKL",))
def CrossEntropyMarginalKL(alpha: Weight = 1.0) -> Sum:
    """Cross entropy plus `alpha` times the KL divergence of the predicted sizes of the classes from the true ones.

    For few foreground voxels, of which cross entropy predicts too few. The authors' code lets `alpha` grow during
    training; a schedule such as Ramp(1, 100) does so.
    """
    return CrossEntropy() + alpha * MarginalKL()


@preset(paper="liu2021", aliases=("CEMarginalL1",))
def CrossEntropyMarginalL1(alpha: Weight = 1.0) -> Sum:
    """Cross entropy plus `alpha` times the mean difference of the predicted and the true sizes of the classes.

    As `CrossEntropyMarginalKL`, with a gradient that stays bounded where a class is not predicted at all.
    """
    return CrossEntropy() + alpha * MarginalL1()


def divergence(g: Tensor, s: Tensor) -> Tensor:
    """Return the summand of a class in the KL divergence of its share s from its share g."""
    return (g + LEAST) * ((g + LEAST) / (s.clamp(min=0) + LEAST)).log()
