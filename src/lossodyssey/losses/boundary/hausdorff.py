"""Hausdorff distance losses: squared errors, weighted by their distance to both boundaries."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, BoundaryDistance, Normalize
from lossodyssey.core.fields import Interval, Positive
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.kinds import MapLoss, quotient
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.balls import ball_means, finest
from lossodyssey.kernels.erosion import eroded


class HausdorffDT(
    MapLoss,
    paper="karimi2019",
    range=(0, inf),
    alone=False,
    aliases=("HD", "Hausdorff", "HausdorffDistance"),
):
    r"""Hausdorff distance loss by distance transforms: an error costs more, the farther it is from a boundary.

    $\frac{1}{N} \sum_i (s_i - g_i)^2 (d_{G,i}^\alpha + d_{S,i}^\alpha)$, with the distances to the boundaries of the
    truth G and of the hard prediction S (Loss odyssey, Eq. 21, which prints the error without its square; all code
    squares it). No gradient flows through $d_S$.

    For tasks scored by surface distances; together with a region loss (`DiceHausdorff`). `one_sided=True` drops
    $d_S$ and with it the transform in every step. `prediction` makes S by "argmax" or by s > 1/2 per class
    ("threshold"). `square=False` is the linear form $|s - g|$. `log=True` returns $\log(1 + L)$. Distances are 0 for
    masks that are empty or full; `normalize="diagonal"` makes the values comparable between image sizes.
    """

    alpha: Positive = 2.0
    one_sided: bool = False
    square: bool = True
    log: bool = False
    prediction: Literal["argmax", "threshold"] = "argmax"
    normalize: Normalize = None

    @property
    def local(self) -> bool:  # type: ignore[override]
        return self.one_sided

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"d": BoundaryDistance(normalize=self.normalize)}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        truth = super().maps(pair)
        if self.one_sided:
            return truth
        return (*truth, pair.auxiliary_of_prediction(self.auxiliaries()["d"], self.prediction))

    def formula(self, s: Tensor, g: Tensor, *distances: Tensor) -> Tensor:
        error = (s - g) ** 2 if self.square else (s - g).abs()
        return error * sum(d**self.alpha for d in distances)

    def of(self, pair: Pair) -> Tensor:
        mean = super().of(pair)
        return torch.log1p(mean) if self.log else mean


class VoxelMean(GridLoss, abstract=True):
    """Abstract: a grid's formula whose mean is over voxels and classes, whatever sample they are in."""

    def mean(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return the mean of (N, C, *S) over the voxels that count, (N, C)."""
        return quotient((values * weight).flatten(2).sum(2, dtype=torch.float64), self.share(weight.flatten(2)))

    def share(self, weight: Tensor) -> Tensor:
        """Return how many voxels count."""
        return weight.sum(2, dtype=torch.float64)


class HausdorffErosion(
    VoxelMean,
    paper="karimi2019",
    range=(0, inf),
    alone=False,
    aliases=("HausdorffER", "Hausdorff", "HausdorffDistance"),
    apart=True,
):
    r"""Hausdorff distance loss by erosions: an error costs more, the more erosions it survives.

    $\frac{1}{N} \sum_i \sum_{k=1}^K k^\alpha B_{k,i}$, where $B_0 = (s - g)^2$ and each $B_k$ is the mean of
    $B_{k-1}$ over a voxel and its face neighbours, less 1/2, clipped at 0.

    No distance transform, and differentiable throughout; together with a region loss, because errors below 1/2 cost
    nothing and have no gradient. `renormalize=True` stretches every $B_k$ to 0..1 per sample, by constants, as the
    known implementations do (the paper's text was not at hand to say whether it does). Without it B_1 is at most 1/2
    and nothing is left of it after the second erosion: `alpha` and `erosions` change nothing then.
    """

    alpha: Positive = 2.0
    erosions: Annotated[int, Interval(1, 100)] = 10
    background: bool = False
    renormalize: bool = False

    def formula(self, s: Tensor, g: Tensor, weight: Tensor) -> Tensor:
        layer = total = eroded((s - g) ** 2)
        # Of errors up to 1 the first erosion leaves 1/2 at most, and the second nothing.
        if self.renormalize:
            counts = weight.sign()
            layer = total = stretched(layer) * counts
            for k in range(2, self.erosions + 1):
                layer = stretched(eroded(layer)) * counts
                total = total + k**self.alpha * layer
        return self.mean(total, weight)


class HausdorffConvolution(
    VoxelMean,
    paper="karimi2019",
    range=(0, inf),
    alone=False,
    aliases=("HausdorffCV", "Hausdorff", "HausdorffDistance"),
):
    r"""Hausdorff distance loss by convolutions: an error costs more, the larger the ball of one class around it.

    $\frac{1}{N} \sum_i (s_i - g_i)^2 \sum_r r^\alpha \left[ s_i f(B_r * \bar g)_i + s_i f(B_r * s)_i
    + g_i f(B_r * g)_i + g_i f(B_r * \bar s)_i \right]$ with the mean $B_r * x$ over the ball of radius r,
    $\bar x = 1 - x$ and $f(x) = \max(x - 1/2, 0)$: a false voxel pays for the background of the truth and for the
    object of the prediction around it, a missed one for the reverse.

    No distance transform, and differentiable throughout; together with a region loss, because errors next to
    boundaries cost little. Radii count voxels along the finest axis; balls are round and r is measured by the
    `spacing`. Balls end at the image's border, which is not a boundary. It is large: its value grows with the square
    of the radii, so give it a small weight, as in `Dice() + 0.001 * HausdorffConvolution()`. It transforms every map
    for every radius, keeps a map per radius for the backward pass and works on padded ones: some forty times the time
    of `DiceCE` and thirty times the memory of the logits.

    The paper's text was not at hand: formula, threshold and radii are as remembered, and no published code was found.
    """

    alpha: Positive = 2.0
    radii: tuple[Positive, ...] = (3.0, 6.0, 9.0, 12.0, 15.0, 18.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.radii:
            raise ValueError("HausdorffConvolution.radii is (), expected at least one radius in voxels, as (3, 6)")

    def formula(self, s: Tensor, g: Tensor, valid: Tensor, weight: Tensor, spacing: Tensor) -> Tensor:
        false, missed = torch.zeros_like(s), torch.zeros_like(s)
        for r, (near_s, near_g) in zip(self.radii, ball_means([s, g], valid, spacing, self.radii), strict=True):
            (object_s, rest_s), (object_g, rest_g) = beyond_half(near_s), beyond_half(near_g)
            false = false + r**self.alpha * (rest_g + object_s)
            missed = missed + r**self.alpha * (object_g + rest_s)
        values = (s - g) ** 2 * (false * s + missed * g)
        return self.mean(values, weight) * finest(spacing, s.shape[2:])[:, None] ** self.alpha


def beyond_half(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far x lies above 1/2, and how far below it; 0 where it does not."""
    above = (x - 0.5).relu()
    return above, above - (x - 0.5)  # one of the two is kept for the backward pass


def stretched(layer: Tensor) -> Tensor:
    """Return (N, C, *S) brought to 0..1 per sample and class, by constants."""
    flat = layer.flatten(2)
    low, high = torch.aminmax(flat.detach(), dim=2, keepdim=True)
    return torch.where(high > low, (flat - low) / torch.where(high > low, high - low, 1), flat).reshape(layer.shape)
