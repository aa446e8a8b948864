"""Records of losses over centre lines, in terms of this library."""

from __future__ import annotations

from typing import Any

from calls import Builder, Call, Case
from torch import Tensor

import lossodyssey as lo
from lossodyssey.kernels.skeleton import soft_skeleton


def centerline(source: str, case: Case, **params: Any) -> Call:
    return Call(centerline_loss(source, **params))


def centerline_loss(
    source: str,
    *,
    skeleton_iterations: int | None = None,
    iter_: int | None = None,
    smooth: float,
    smooth_nr: float | None = None,
    smooth_dr: float | None = None,
    exclude_background: bool = True,
    include_background: bool = False,
    softmax: bool = True,
    to_onehot_y: bool = True,
    batch: bool = False,
    use_base_loss: bool = False,
) -> lo.Loss:
    """The paper's code pools batch and classes, MONAI the classes; MONAI's `smooth` is a guard of the harmonic mean."""
    assert softmax and to_onehot_y and not batch and not use_base_loss and smooth_nr == smooth_dr
    background = include_background or not exclude_background
    if iter_ is None:
        assert skeleton_iterations is not None
        return lo.ReleasedCenterlineDice(iterations=skeleton_iterations, smooth=smooth, background=background)
    if smooth_nr is None:
        return lo.CenterlineDice(iterations=iter_, smooth=smooth, background=background)
    return lo.ReleasedCenterlineDice(
        iterations=iter_, smooth=smooth_nr, guard=smooth, batch=False, background=background
    )


def dice_centerline(source: str, case: Case, *, alpha: float, dice: str = "", **params: Any) -> Call:
    region = lo.Dice(batch=True, pooled=True, smooth=1.0) if "pooled" in dice else lo.Dice(smooth=1.0)
    return Call((1 - alpha) * region + alpha * centerline_loss(source, **params))


class SumOfSkeletons(lo.GridLoss, abstract=True):
    """The sum of the soft skeletons."""

    iterations: int = 3

    def formula(self, s: Tensor) -> Tensor:
        return soft_skeleton(s.flatten(0, 1), self.iterations).reshape(s.shape).flatten(2).sum(2)


def skeleton_sum(source: str, case: Case, *, num_iter: int, input: str, output: str) -> Call:
    assert input == "softmax foreground channels" and output == "sum of skeleton"
    units = float(len(case.labels) * (case.classes - 1))
    return Call(units * SumOfSkeletons(iterations=num_iter))


def centerline_boundary(weights: str) -> Builder:
    """The reference returns minus the score."""

    def build(source: str, case: Case, *, iter_: int, smooth: float, input: str = "") -> Call:
        return Call(lo.ReleasedCenterlineBoundaryDice(weights=weights, iterations=iter_, smooth=smooth), -1.0)

    return build


def centerline_ce(source: str, case: Case, *, iterations: int, normalize: str = "voxels") -> Call:
    return Call(lo.CenterlineCE(iterations=iterations, normalize=normalize))


BUILDERS: dict[str, Builder] = {
    "cbdice": centerline_boundary("radius"),
    "clce": centerline_ce,
    "cldice": centerline,
    "clmdice": centerline_boundary("equal"),
    "dice_cldice": dice_centerline,
    "soft_skeleton": skeleton_sum,
}
