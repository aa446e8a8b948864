"""Penalties on logits that keep a network from being surer than it is right, beside any loss."""

from __future__ import annotations

from math import inf
from typing import Literal

from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.grids import unflattened
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import ViewLoss
from lossodyssey.kernels.boxes import blurred
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy


class PenalisedLoss(ViewLoss, abstract=True):
    """Abstract: the field `loss` plus `penalty` times the mean of `excess(pair)` over voxels and classes."""

    penalty: NonNegative = 0.1

    def excess(self, pair: Pair) -> Tensor:
        """Return how much is penalised, (N, C, V) and 0 or more."""
        raise NotImplementedError("abstract")

    def outer(self, value: Tensor, pair: Pair) -> Tensor:
        return value + self.penalty * pair.mean_of(self.excess(pair))

    def bounds(self) -> tuple[float, float]:
        return self.loss.bounds()[0], inf


class MarginLogits(PenalisedLoss, paper="liu2022", range=(0, inf), least_at_truth=False, aliases=("MbLS",)):
    r"""Margin-based label smoothing (MbLS): any loss plus a penalty on logits far below the largest.

    $L + \lambda \frac{1}{NC} \sum_{i,c} \max(0, \max_k z_{ik} - z_{ic} - m)$.

    For probabilities that can be trusted, without the pull of `LabelSmoothing` towards equal logits: up to the margin
    the inner loss rules alone. `penalty=0` is the inner loss. The paper advises margins near 10 and a penalty of 0.1.
    Under sigmoid a channel has the logits 0 and z. The formula is that of the authors' code; the paper was not read.
    """

    loss: Loss = CrossEntropy()
    margin: NonNegative = 10.0

    def excess(self, pair: Pair) -> Tensor:
        z = pair.known_z
        if pair.sigmoid:  # of the logits 0 and z one is the largest, and the other lies |z| below it
            return (z.abs() - self.margin).clamp(min=0) / 2
        return (z.amax(1, keepdim=True) - z - self.margin).clamp(min=0)


class NeighbourAware(
    PenalisedLoss,
    paper="murugesan2023",
    range=(0, inf),
    local=False,
    monotone=False,
    least_at_truth=False,
    shift_free=False,
    aliases=("NACL",),
):
    r"""Neighbour-aware calibration (NACL): any loss plus a penalty on logits that differ from the classes nearby.

    $L + \lambda \frac{1}{NC} \sum_{i,c} |z_{ic} - n_{ic}|$, with $n_{ic}$ the share of class c in the box of side 3
    around voxel i, itself included.

    For probabilities that are soft at borders and less sure everywhere: logits are drawn into [0, 1], between which the
    greatest confidence is $e / (e + C - 1)$. `on="probabilities"` compares s with n instead. Voxels outside the image
    or that do not count are left out of the shares; published code counts them as no class, or as class 0. `penalty=0`
    is the inner loss. The formula is that of this code; the paper was not read.
    """

    loss: Loss = CrossEntropy()
    on: Literal["logits", "probabilities"] = "logits"

    def excess(self, pair: Pair) -> Tensor:
        return ((pair.known_z if self.on == "logits" else pair.s) - self.shares(pair)).abs()

    def shares(self, pair: Pair) -> Tensor:
        """Return the share of each class in the box around each voxel, (N, C, V)."""
        classes, voxels = (
            blurred(unflattened(x, pair), 1.0, replicate=False).flatten(2) for x in (pair.g * pair.valid, pair.valid)
        )
        return classes / voxels.clamp(min=1)
