"""The perimeter: whether contours are as long as the true ones."""

from __future__ import annotations

from math import inf

import torch.nn.functional as F
from torch import Tensor

from lossodyssey.core.grids import GridLoss


class Perimeter(GridLoss, paper="eljurdi2021", range=(0, inf), alone=False, monotone=False):
    r"""Perimeter loss: the squared difference of the lengths of the predicted and the true contour.

    $\frac{1}{|\Omega|} \left(\sum_i C(s)_i - \sum_i C(g)_i\right)^2$ per sample and class, with the soft contour
    $C(x) = D(E(x)) - E(x)$, E the least and D the greatest value of a voxel's 3^d box.

    A prior on shape that needs neither the place of the object nor a distance transform; together with a region loss,
    `Dice() + 0.01 * Perimeter()` in the paper. In 3D it compares surfaces. Lengths are counted in voxels, also where
    the spacing differs along the axes.
    """

    def formula(self, s: Tensor, g: Tensor, valid: Tensor) -> Tensor:
        size = valid.flatten(2).sum(2).clamp(min=1)
        return (contour(s) - contour(g)) ** 2 / size


def contour(x: Tensor) -> Tensor:
    """Return the length of the soft contours of x (N, C, *S) in voxels, (N, C)."""
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
    eroded = -pool(-x, 3, 1, 1)
    return (pool(eroded, 3, 1, 1) - eroded).relu().flatten(2).sum(2)
