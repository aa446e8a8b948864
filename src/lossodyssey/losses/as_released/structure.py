"""Losses of centre lines and of distances between classes as their authors' code computes them."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary import Depth
from lossodyssey.core.fields import Interval, NonNegative, Positive
from lossodyssey.core.grids import GridLoss
from lossodyssey.losses.structure.centerline import skeletons
from lossodyssey.losses.structure.centerline_boundary import Tube, Weights, merged, overlaps, scaled, tube
from lossodyssey.losses.structure.class_distances import Matrix, check_distances


class ReleasedCenterlineDice(GridLoss, paper="shit2021", range=(0, 1)):
    r"""Centreline Dice of pooled classes: one precision and one recall over all classes, and over the batch.

    The paper's own code does this, with 10 iterations whatever its argument says. MONAI's pools the classes of each
    sample alone (`batch=False`) and makes the harmonic mean $2 P R / (P + R + \text{guard})$ with a guard of 1e-4, so
    that the truth itself costs 5e-5. Each process of a distributed training has a batch of its own.
    """

    iterations: Annotated[int, Interval(0, 100)] = 10
    smooth: Positive = 1.0
    guard: NonNegative = 0.0
    batch: bool = True

    def formula(self, s: Tensor, g: Tensor) -> Tensor:
        precision, recall = self.inside(s, g), self.inside(g, s)
        return (1 - 2 * precision * recall / (precision + recall + self.guard)).expand(s.shape[:2])

    def inside(self, lines: Tensor, objects: Tensor) -> Tensor:
        """Return how much of the skeletons of (N, C, *S) lies inside the objects, (N or 1, 1)."""
        lines = skeletons(lines, self.iterations)
        overlap, whole = (self.pooled(values) for values in (lines * objects, lines))
        return (overlap + self.smooth) / (whole + self.smooth)

    def pooled(self, values: Tensor) -> Tensor:
        sums = values.flatten(1).sum(1, keepdim=True, dtype=torch.float64)
        return sums.sum(0, keepdim=True) if self.batch else sums


class ReleasedCenterlineBoundaryDice(GridLoss, paper="shi2024", range=(-inf, 1), alone=False, without=("background",)):
    """Centreline boundary Dice by soft skeletons, with one score for the batch, and distances in voxels.

    Both skeletons are those by `iterations` openings of the hard masks. The classes are merged by the greatest
    probability, and the least radius is taken as 1, whatever it is. Each process of a distributed training has a batch
    of its own.
    """

    weights: Weights = "radius"
    iterations: Annotated[int, Interval(0, 100)] = 10
    smooth: Positive = 1.0

    def formula(self, s: Tensor, true: Tensor, exclusive: bool) -> Tensor:
        p = merged(s, "max") if exclusive else s
        truth = self.tube(true.any(1, keepdim=True) if exclusive else true, p)
        found = scaled(self.tube(p.detach() > 0.5, p), p)
        precision, recall = self.inside(found, truth), self.inside(truth, found)
        return (1 - 2 * precision * recall / (precision + recall)).expand(p.shape[:2])

    def tube(self, body: Tensor, like: Tensor) -> Tube:
        one = like.new_ones(())
        line = skeletons(body * one, self.iterations)
        return tube(line, Depth()(body, body.shape[1]) * one, self.weights, least=1.0)

    def inside(self, of: Tube, other: Tube) -> Tensor:
        overlap, whole = (sums.sum(0, keepdim=True) for sums in overlaps(of, other))
        return (overlap + self.smooth) / (whole + self.smooth)


class ReleasedGeneralizedWassersteinDice(GridLoss, paper="fidon2017", range=(0, 1)):
    r"""Generalised Wasserstein Dice whose true positives are counted as if every class were at 1 from the background.

    $1 - \frac{2\,TP}{2\,TP + \sum_x W_x}$ with $TP = \sum_x \alpha_{y_x} (1 - W_x)$ and a weight $\alpha$ of 1 for
    the foreground and 0 for the background. With `weights="size"` it is $1 / (|l| + 1)$ for each class l and the
    denominator $\sum_x \alpha_{y_x} (2 - W_x)$, a form of `GeneralizedDice`.
    """

    background: bool = True
    distances: Matrix | None = None
    weights: Literal["foreground", "size"] = "foreground"
    smooth: NonNegative = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distances is not None:
            check_distances(f"{type(self).__name__}.distances", self.distances)

    def formula(self, s: Tensor, g: Tensor) -> Tensor:
        classes = s.shape[1]
        matrix = 1 - s.new_ones(classes).diag() if self.distances is None else s.new_tensor(self.distances)
        w = torch.einsum("nlx,nlx->nl", g.flatten(2), matrix @ s.flatten(2)).double()
        n = g.flatten(2).sum(2, dtype=torch.float64)

        if self.weights == "size":
            alpha, total = 1 / (n + 1), ((2 * n - w) / (n + 1)).sum(1)
            ratio = (2 * (alpha * (n - w)).sum(1) + self.smooth) / (total + self.smooth)
        else:
            tp = 2 * (n - w)[:, 1:].sum(1)
            ratio = (tp + self.smooth) / (tp + w.sum(1) + self.smooth)
        return (1 - ratio)[:, None].expand(-1, classes)
