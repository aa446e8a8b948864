"""Hausdorff distance losses: squared errors, priced by their distance to both boundaries."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import torch
from torch import Tensor

from lossodyssey.distance.maps import Normalize
from lossodyssey.losses.fields import Positive
from lossodyssey.losses.loss import MapLoss
from lossodyssey.losses.pair import Pair


class HausdorffDT(MapLoss, paper="karimi2019", range=(0, inf), alone=False, needs=("boundary_distance",)):
    r"""Hausdorff distance loss by distance transforms: an error costs the more the farther it is from a boundary.

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

    def map_options(self) -> dict[str, Any]:
        return {"normalize": self.normalize}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        truth = super().maps(pair)
        if self.one_sided:
            return truth
        return (*truth, pair.map_of_prediction("boundary_distance", self.prediction, **self.map_options()))

    def formula(self, s: Tensor, g: Tensor, *distances: Tensor) -> Tensor:
        error = (s - g) ** 2 if self.square else (s - g).abs()
        return error * sum(d**self.alpha for d in distances)

    def of(self, pair: Pair) -> Tensor:
        mean = super().of(pair)
        return torch.log1p(mean) if self.log else mean
