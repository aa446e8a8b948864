"""Losses of contours as their authors' code computes them."""

from __future__ import annotations

import math
from math import inf
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, EdgeDistance
from lossodyssey.core.fields import Interval
from lossodyssey.kernels.contour_length import LEAST, difference
from lossodyssey.kernels.neighbours import Step, contrasts, steps_around
from lossodyssey.losses.boundary.active_boundary import LEAST as LEAST_DIVERGENCE
from lossodyssey.losses.boundary.active_boundary import DirectionLoss
from lossodyssey.losses.boundary.active_contour import ActiveContour, weighted_mean


class ReleasedActiveContour(ActiveContour, paper="chen2019"):
    r"""Active contour loss whose differences along the axes are taken at different voxels, and not at the last two.

    Difference a of voxel i is $s_{i + 2 e_a} - s_{i + e_a}$, $e_a$ one step along axis a, for voxels at least two from
    the end of every axis. The area is that of `ActiveContour`, of any size and number of classes.
    """

    def length(self, s: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
        axes = range(2, s.ndim)
        kept = cropped(weight, dict.fromkeys(axes, 0))
        squares = torch.full_like(cropped(s, dict.fromkeys(axes, 0)), LEAST)
        for axis in axes:
            step = spacing[:, axis - 2].reshape(-1, *[1] * (s.ndim - 1))
            starts = {other: int(other == axis) for other in axes}
            squares = squares + (cropped(difference(s, weight > 0, axis), starts) / step) ** 2
        return weighted_mean(squares.sqrt(), kept)


def cropped(values: Tensor, starts: dict[int, int]) -> Tensor:
    """Return all but two voxels of each axis longer than that, from the given starts on."""
    for axis, start in starts.items():
        if values.shape[axis] > 2:
            values = values.narrow(axis, start, values.shape[axis] - 2)
    return values


class ReleasedActiveBoundary(DirectionLoss, paper="wang2022", range=(0, inf), alone=False, monotone=False):
    """Active boundary loss with distances in whole pixels less one, and a predicted boundary two pixels wider.

    A pixel has a predicted boundary after it where the divergence to the next one along each axis, added up, exceeds a
    threshold: the smallest of 1e-5, 1.2e-5, 1.44e-5, ... that at most the `share` of one sample's pixels exceed in the
    whole batch. All pixels of the boxes of 3 x 3 around these count in the mean. Pixels nearer than 2 to the true
    boundary weigh nothing, and where more pixels are alike than the share allows the value is 0. Of several shortest
    directions one is taken, in a fixed order. The code is for planes; for volumes it is continued here.
    """

    share: Annotated[float, Interval(0, 1, positive=True)] = 0.01
    detach: bool = True

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"d": EdgeDistance(form="whole")}

    def steps(self, space: tuple[int, ...]) -> list[Step]:
        if len(space) != 2:
            return steps_around(space)
        return [(1, 0), (-1, 0), (0, -1), (0, 1), (-1, 1), (1, 1), (-1, -1), (1, -1)]

    def chosen(self, log_p: Tensor, distance: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        ahead = contrasts(log_p, valid)[::2].sum(0)
        most = int(self.share * valid[0].numel())
        limit = ahead.flatten().topk(min(most + 1, ahead.numel())).values[-1]
        limit = limit if most < ahead.numel() else torch.zeros_like(limit)
        threshold = (
            LEAST_DIVERGENCE
            * 1.2 ** (torch.log(limit.clamp(min=LEAST_DIVERGENCE) / LEAST_DIVERGENCE) / math.log(1.2)).ceil()
        )
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[valid.ndim - 2]
        near = pool(torch.where(ahead > threshold, ahead.new_ones(()), 0)[:, None], 3, 1, 1)[:, 0] > 0
        index = torch.arange(valid[0].numel(), device=valid.device).expand(len(valid), -1)
        return index, (near & valid).flatten(1)

    def directions(self, own: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        first = around.argmin(2, keepdim=True)
        true = torch.zeros_like(around).scatter(2, first, 1)
        return true, around.amin(2) <= own
