"""Margins that keep rare classes away from the decision boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf
from typing import Annotated

import torch
from torch import Tensor

from lossodyssey.core.fields import Interval, NonNegative
from lossodyssey.core.kinds import VoxelLoss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.focal import focal
from lossodyssey.kernels.powers import Factors, Power

Margin = Annotated[float, Interval(0, 50)]
"""A difference of logits, whose exponential must stay in the range of float32."""
Classes = tuple[Annotated[int, Interval(0)], ...]


class AsymmetricLargeMargin(VoxelLoss, paper="li2021", range=(0, inf), aliases=("AsymmetricLargeMarginFocal",)):
    r"""Asymmetric large-margin focal loss: a margin for rare classes, focal weights for the others.

    $\frac{1}{N} \sum_i w_{g_i} \ell_i$ with $\ell = -\log q$ where the true class is rare, and
    $\ell = -(1 - p)^\gamma \log p$ elsewhere; q is the probability of the true class after `margin` was taken from its
    logit, $-\log q = -\log p + \log(1 + (e^m - 1)(1 - p))$.

    For rare foreground that a network fits in training and misses on new images: rare voxels must win by the margin,
    and easy voxels of the other classes count little. `rare` names the rare classes, all foreground where it is empty.
    `margin=0, gamma=0` is `CrossEntropy`. The adversarial and mixup forms of the paper are steps of training, not
    losses. The formula is that of the authors' code without the 1e-6 in its logarithm; the paper was not read.
    """

    margin: Margin = 1.0
    gamma: NonNegative = 4.0
    rare: Classes = ()

    def formula(self, log_p: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
        rare = among(classes, self.rare) * labels > 0 if self.rare else labels > 0
        return torch.where(rare, below_margin(log_p, self.margin), focal(log_p, self.gamma))

    def powers(self, labels: Tensor, classes: Tensor) -> Factors | None:
        if self.gamma == 0 or self.margin == 0:  # two powers would be the same
            return None
        rare = (among(classes, self.rare) * labels if self.rare else labels) > 0
        below = {Power(log=1): rare, Power(margin=math.expm1(self.margin)): rare}
        return {**below, Power(error=self.gamma, log=1): ~rare}

    def check_pair(self, pair: Pair) -> None:
        check_rare(type(self).__name__, self.rare, pair)


def check_rare(owner: str, rare: Sequence[int], pair: Pair) -> None:
    """Raise ValueError for a rare class that is not foreground."""
    first = pair.first_class(False)
    if not set(rare) <= set(range(first, pair.classes)):
        raise ValueError(
            f"{owner}.rare is {tuple(rare)}, but there are {pair.classes} classes: expected some of the foreground "
            f"classes {first} to {pair.classes - 1}"
        )


def below_margin(log_p: Tensor, margin: float) -> Tensor:
    """Return the cross entropy of the true class after a margin was taken from its logit."""
    return torch.log1p(-math.expm1(margin) * torch.expm1(log_p)) - log_p


def among(classes: Tensor, chosen: Sequence[int]) -> Tensor:
    """Return whether each class is one of the chosen ones, as a number above 0."""
    first, *others = (classes == c for c in chosen)
    for found in others:
        first = first + found
    return first
