"""Centre lines: whether thin objects are followed from end to end."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import Fraction, Interval, Positive
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.kernels.skeleton import openings, soft_skeleton
from lossodyssey.losses.region.dice import Dice

Iterations = Annotated[int, Interval(0, 100)] | Literal["auto"]

MOST = 50
"""The most iterations that "auto" makes: an object that fills the image is never gone."""


class CenterlineDice(GridLoss, paper="shit2021", range=(0, 1), aliases=("clDice", "CentrelineDice")):
    r"""Centreline Dice (clDice): each skeleton must lie inside the other mask.

    $1 - \frac{2 P R}{P + R}$ with $P = \frac{\sum S(s)\,g + \epsilon}{\sum S(s) + \epsilon}$,
    $R = \frac{\sum S(g)\,s + \epsilon}{\sum S(g) + \epsilon}$ and the soft skeleton S of `iterations` openings, per
    sample and class, then the mean. Voxels that do not count are taken as outside of all objects.

    For vessels, airways and nerves, beside a region loss (`DiceCenterline`). A bar of odd width w has a skeleton from
    (w - 1) / 2 iterations on, and none with fewer: `iterations="auto"` makes as many as the widest true object of the
    batch needs, at most 50. The background, whose skeleton would dominate, is left out.
    """

    background: bool = False
    iterations: Iterations = 10
    smooth: Positive = 1.0

    def formula(self, s: Tensor, g: Tensor) -> Tensor:
        truths = g.flatten(0, 1)
        iterations = openings(truths > 0.5, MOST) if self.iterations == "auto" else self.iterations
        precision = self.inside(soft_skeleton(s.reshape(truths.shape), iterations).reshape(g.shape), g)
        recall = self.inside(soft_skeleton(truths, iterations).reshape(g.shape), s)
        return 1 - 2 * precision * recall / (precision + recall)

    def inside(self, skeleton: Tensor, objects: Tensor) -> Tensor:
        """Return how much of the skeleton (N, C, *S) lies inside the objects, (N, C)."""
        overlap = (skeleton * objects).flatten(2).sum(2, dtype=torch.float64)
        return (overlap + self.smooth) / (skeleton.flatten(2).sum(2, dtype=torch.float64) + self.smooth)


@preset(paper="shit2021", aliases=("DiceclDice", "DiceCentreline"))
def DiceCenterline(dice: Fraction = 0.5, centerline: Fraction = 0.5, iterations: Iterations = 10) -> Sum:
    """Dice plus centreline Dice, half each (soft-Dice-clDice of Shit 2021)."""
    return dice * Dice() + centerline * CenterlineDice(iterations=iterations)
