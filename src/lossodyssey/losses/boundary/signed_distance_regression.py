"""The regression of signed distance maps, by a head of the network or read off the logits."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, SignedShare
from lossodyssey.core.distributed import over_ranks
from lossodyssey.core.fields import NonNegative
from lossodyssey.core.grids import Gridded
from lossodyssey.core.kinds import quotient
from lossodyssey.core.pair import Pair


class SignedDistanceRegression(
    Gridded, paper="xue2020", range=(0, 10 / 3), alone=False, monotone=False, least_at_truth=False, aliases=("SDM",)
):
    r"""Signed distance regression: how far the prediction is from a map of signed distances to the true boundary.

    $\frac{1}{3} - \frac{\sum_i f_i y_i}{\sum_i f_i y_i + \sum_i f_i^2 + \sum_i y_i^2} + \frac{1}{N} \sum_i |f_i - y_i|$
    per sample and class, then the mean. y is the signed distance, each side divided by its largest: -1 deep inside
    the object, 0 at its edge, 1 far outside. The paper's value is 1/3 less, so that f = y is not 0.

    `head=True` takes f from an output of the network's own under tanh, as the paper regresses it: a map per class
    beside the logits, which the engines add by themselves, and `Criterion(loss, classes=C)` takes off an output of 2 C
    channels. The loss then teaches the features that both outputs share, and the segmentation is that of the logits,
    which the region loss beside it trains. In the paper it is that of f, whose Dice is taken through a steep sigmoid.

    `head=False` reads f off the logits, whatever the network: the log-odds z of a class are that output,
    $f = -\tanh z = (1 - 2s) / (s^2 + (1 - s)^2)$, negative where the class is the likelier. The probability is then
    about 1/2 near the boundary by design, and no one-hot prediction is the best one. It needs a region loss that
    outweighs it, as in `Dice() + 0.1 * SignedDistanceRegression()`: the paper's weight of 10 belongs to a head, as in
    `Dice() + 10 * SignedDistanceRegression(head=True)`, and holds the probabilities near 1/2 without one.

    `batch=True` and `pooled=True` add the sums up over the batch and over the classes before the ratio, as the known
    implementation does; `zero="jump"` is that implementation's map. `smooth` keeps the ratio finite. It keeps f and
    its products for the backward pass, some eight times the memory of the logits.
    """

    head: bool = False
    batch: bool = False
    pooled: bool = False
    zero: Literal["inner", "jump"] = "inner"
    smooth: NonNegative = 1e-5

    reader: ClassVar[str] = "sums"

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"y": SignedShare(zero=self.zero)}

    def heads(self) -> dict[str, str]:
        return {"f": SignedShare(zero=self.zero).key} if self.head else {}

    def grid(self, pair: Pair, name: str, first: int) -> Any:
        """Return what the sums ask for; f is in -1..1, the head's or that of the logits."""
        if name != "f":
            return super().grid(pair, name, first)
        if self.head:
            return super().grid(pair, name, first).tanh()
        q = 1 - 2 * super().grid(pair, "s", first)
        return 2 * q / (1 + q * q)

    def sums(self, f: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Return the sums over voxels of f y, f f, y y, |f - y| and 1, (N, C, 5)."""
        counted = f * weight
        # Summed in their own dtype, because a sum in another one makes a copy first.
        terms = (counted * y, counted * f, y * y * weight, (counted - y * weight).abs(), weight.expand_as(f))
        return torch.stack([term.flatten(2).sum(2) for term in terms], 2).double()

    def of(self, pair: Pair) -> Tensor:
        table = self.sums(**self.grids(pair))
        if self.batch:
            table = table.sum(0, keepdim=True)
            table = over_ranks(table) if pair.whole else table
        if self.pooled:
            table = table.sum(1, keepdim=True)
        fy, ff, yy, error, voxels = table.unbind(2)
        values = 1 / 3 - quotient(fy, fy + ff + yy + self.smooth) + quotient(error, voxels)
        counts = voxels > 0
        return quotient((values * counts).sum(), counts.sum())
