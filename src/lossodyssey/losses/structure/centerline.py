"""Centre lines: whether thin objects are followed from end to end."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, SoftSkeleton
from lossodyssey.core.fields import Fraction, Interval, Positive
from lossodyssey.core.grids import GridLoss, outside_graphs
from lossodyssey.core.kinds import ratio
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.kernels.skeleton import MOST, openings, soft_skeleton
from lossodyssey.losses.region.dice import Dice

Iterations = Annotated[int, Interval(0, 100)] | Literal["auto"]


class CenterlineLoss(GridLoss, abstract=True):
    """Abstract: a loss of soft skeletons, of a number of openings that is given or follows from the true objects."""

    iterations: Iterations = 10

    @property
    def one_graph(self) -> bool:  # type: ignore[override]
        return self.iterations != "auto"


class CenterlineDice(CenterlineLoss, paper="shit2021", range=(0, 1), aliases=("clDice", "CentrelineDice")):
    r"""Centreline Dice (clDice): each skeleton must lie inside the other mask.

    $1 - \frac{2 P R}{P + R}$ with $P = \frac{\sum S(s)\,g + \epsilon}{\sum S(s) + \epsilon}$,
    $R = \frac{\sum S(g)\,s + \epsilon}{\sum S(g) + \epsilon}$ and the soft skeleton S of `iterations` openings, per
    sample and class, then the mean. Voxels that do not count are taken as outside of all objects.

    For vessels, airways and nerves, beside a region loss (`DiceCenterline`). A bar of odd width w has a skeleton from
    (w - 1) / 2 iterations on, and none with fewer, where the loss is blind to it. `iterations="auto"` is the form to
    take: it makes as many as the widest true object of the batch needs, at most 50, which for thin vessels are fewer
    than the 10 of the paper's code, and saves that time. The background, whose skeleton would dominate, is left out.
    """

    background: bool = False
    iterations: Iterations = 10
    smooth: Positive = 1.0

    def formula(self, s: Tensor, g: Tensor) -> Tensor:
        iterations = levels(self.iterations, g > 0.5)
        precision, recall = self.inside(skeletons(s, iterations), g), self.inside(skeletons(g, iterations), s)
        return 1 - 2 * precision * recall / (precision + recall)

    def inside(self, skeleton: Tensor, objects: Tensor) -> Tensor:
        """Return how much of the skeleton (N, C, *S) lies inside the objects, (N, C)."""
        overlap = (skeleton * objects).flatten(2).sum(2, dtype=torch.float64)
        return (overlap + self.smooth) / (skeleton.flatten(2).sum(2, dtype=torch.float64) + self.smooth)


class CenterlineCE(
    CenterlineLoss,
    paper="acebes2024",
    range=(0, inf),
    alone=False,
    monotone=False,
    without=("background",),
    aliases=("clCE", "CentrelineCE"),
):
    r"""Centreline cross entropy (clCE): the cross entropy along the true centre lines, and along the predicted ones.

    $\frac{\sum_i S(g)_i \, \ell_i}{\sum_i S(g)_i} + \frac{\sum_i S(s)_i \, \ell_i}{\sum_i S(s)_i}$ with
    $\ell_i = -\log p_{g_i}$ and the soft skeleton S of `iterations` openings, per sample and class, then the mean: the
    first term penalises what is missed, the second what is spurious. A term without any line is 0. `normalize="voxels"`
    divides both by the number of voxels, as the released code does: the values are some twenty times smaller, and grow
    with the share of the vessels in the image. The first form is that of the authors' poster; the paper's text was not
    at hand.

    For vessels, airways and nerves, beside Dice with weight 1. It must not be used alone, because it is blind off the
    lines: foreground everywhere has an empty skeleton and costs 0, even where there is no truth at all, and the width
    of an object changes nothing. A bar wider than 2 `iterations` + 1 has no line: "auto" makes as many iterations as
    the widest true object of the batch needs, at most 50. Soft labels have the centre lines of their likeliest classes.
    """

    iterations: Iterations = 3
    normalize: Literal["skeleton", "voxels"] = "skeleton"

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"line": SoftSkeleton(iterations=self.iterations)}

    def formula(self, s: Tensor, true: Tensor, line: Tensor, log_p: Tensor, weight: Tensor) -> Tensor:
        own = skeletons(s, levels(self.iterations, true))
        return self.along(line * weight, -log_p, weight) + self.along(own * weight, -log_p, weight)

    def along(self, line: Tensor, costs: Tensor, weight: Tensor) -> Tensor:
        """Return the mean of the costs along a line, (N, C)."""
        over = line if self.normalize == "skeleton" else weight
        total, count = (
            values.flatten(2).sum(2, dtype=torch.float64) for values in (line * costs, over.expand_as(line))
        )
        return ratio(total, count)


def levels(iterations: Iterations, true: Tensor) -> int:
    """Return how many openings to make, besides the first, for objects (N, C, *S), bool."""
    return outside_graphs(openings)(true.flatten(0, 1), MOST) if iterations == "auto" else iterations


def skeletons(x: Tensor, iterations: int) -> Tensor:
    """Return the soft skeletons of (N, C, *S)."""
    return soft_skeleton(x.flatten(0, 1), iterations).reshape(x.shape)


@preset(paper="shit2021", aliases=("DiceclDice", "DiceCentreline"))
def DiceCenterline(dice: Fraction = 0.5, centerline: Fraction = 0.5, iterations: Iterations = 10) -> Sum:
    """Dice plus centreline Dice, half each (soft-Dice-clDice of Shit 2021).

    10 iterations are those of the paper's code; prefer `iterations="auto"`, as many as the widest true object needs.
    """
    return dice * Dice() + centerline * CenterlineDice(iterations=iterations)
