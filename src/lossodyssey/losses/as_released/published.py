"""The losses behind the published tables, and region losses of other released code."""

from __future__ import annotations

from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, SignedDistance
from lossodyssey.core.fields import ClassWeights, Fraction, NonNegative, Positive
from lossodyssey.core.kinds import LinearLoss, OverlapLoss, VoxelLoss, ratio
from lossodyssey.core.loss import Sum
from lossodyssey.core.pair import Pair
from lossodyssey.core.presets import preset
from lossodyssey.core.schedules import Ratio
from lossodyssey.kernels import Request
from lossodyssey.losses.boundary.hausdorff import HausdorffDT
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy
from lossodyssey.losses.distribution.topk import HardVoxelLoss
from lossodyssey.losses.region.dice import Dice, mismatch
from lossodyssey.losses.region.dice_plus_plus import NoiseRobustDice
from lossodyssey.losses.region.lovasz import Lovasz, is_hinge
from lossodyssey.losses.region.tversky import Tversky, power


class ReleasedDistancePenalisedCE(CrossEntropy, paper="ma2021", range=(0, inf)):
    """Distance-penalised cross entropy without its penalty: the weighted values are computed and then discarded.

    Plain `CrossEntropy`, so the published pCE row is another run of cross entropy.
    """


class ReleasedFocal(VoxelLoss, paper="ma2021", range=(0, inf)):
    r"""Focal loss of a smoothed label: p is pulled away from 0 and 1 before the logarithm is taken.

    $\tilde p = (1 - \epsilon) p + \frac{\epsilon}{C - 1} (1 - p) + \epsilon$ in place of p. It can exceed 1, where a
    `gamma` that is not a whole number gives NaN. The trainers' alpha of 0.5 is `class_weights=(0.5, ..., 0.5)`.
    """

    gamma: NonNegative = 2.0
    label_smoothing: Fraction = 1e-5

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        share = self.label_smoothing / max(pair.classes - 1, 1)
        return (pair.z.new_tensor(share, dtype=pair.dtype).expand(len(pair.z), 1, pair.z.shape[2]),)

    def formula(self, log_p: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        p = log_p.exp()
        p = (1 - self.label_smoothing) * p + share * (1 - p) + self.label_smoothing
        return -((1 - p) ** self.gamma) * p.log()


class ReleasedTopKThreshold(HardVoxelLoss, paper="ma2021", range=(0, inf)):
    """TopK by threshold that keeps voxels whose likeliest class, not whose true class, has p < `threshold`.

    Confidently wrong voxels are dropped. NaN where nothing is kept, which is always so for two classes and a
    threshold up to 1/2.
    """

    threshold: Fraction = 0.3

    def of(self, pair: Pair) -> Tensor:
        log_p, _ = self.hardness(pair)
        likeliest = pair.s.detach().amax(1, keepdim=True).expand_as(pair.log_p(self)).flatten()
        # log_p is 1 where a voxel does not count.
        kept = (likeliest < self.threshold) & (log_p <= 0)
        return -torch.where(kept, log_p, 0).sum(dtype=torch.float64) / kept.sum()


class ReleasedDice(OverlapLoss, paper="ma2021", range=(0, 1)):
    r"""Squared Dice that squares true positives, false positives and false negatives voxel by voxel.

    $1 - \frac{2 \sum g s^2}{2 \sum g s^2 + \sum (1-g) s^2 + \sum g (1-s)^2}$, where `Dice(square=True)` squares the
    predicted size alone.
    """

    def formula(self, sg: Tensor, tp2: Tensor, fp2: Tensor, g: Tensor) -> Tensor:
        # sum g (1 - s)^2 = G - 2 sum g s + sum g s^2.
        return mismatch(2 * tp2, fp2 + (g - 2 * sg + tp2), self.smooth)


class ReleasedDiceV2(OverlapLoss, paper="ma2021", range=(-1, 1)):
    """Squared Dice with `smooth` counted twice in the numerator: a class absent and not predicted scores 2."""

    smooth: Positive = 1e-5

    def formula(self, tp: Tensor, s2: Tensor, g: Tensor) -> Tensor:
        return 1 - 2 * (tp + self.smooth) / (s2 + g + self.smooth)


class ReleasedFocalTversky(Tversky, paper="ma2021"):
    """Focal Tversky loss that takes the power of the mean over classes, not the mean of each class's power."""

    exponent: Fraction = 0.75

    def of(self, pair: Pair) -> Tensor:
        return power(super().of(pair), self.exponent)


class ReleasedNoiseRobustDice(NoiseRobustDice, paper="wang2020", range=(0, inf)):
    r"""Noise-robust Dice as PyMIC releases it: over the sizes, not the squared sizes.

    $\frac{\sum |s - g|^\gamma}{\sum s + \sum g}$, so that `gamma=2` is not squared Dice.
    """

    def formula(self, errors: Tensor, s: Tensor, g: Tensor) -> Tensor:
        return ratio(errors, s + g + self.smooth)


class ReleasedGeneralizedDice(OverlapLoss, paper="ma2021", range=(0, 1), without=("pooled", "absent", "class_weights")):
    r"""Generalised Dice whose weight $1 / \max(G^2, \epsilon)$ lets a class absent from the batch drown all others.

    Its weight is 100 000, so the loss is about 1 and its gradient about 0 whenever an organ is missing: the variant
    that the trainers used (`GDiceLossV2`).
    """

    background: bool = True
    batch: bool = True
    smooth: Positive = 1e-5

    def formula(self, tp: Tensor, s: Tensor, g: Tensor) -> Tensor:
        w = 1 / (g * g).clamp(min=self.smooth)
        total = (w * (s + g)).sum(1, keepdim=True).clamp(min=self.smooth)
        return 1 - 2 * (w * tp).sum(1, keepdim=True) / total


class ReleasedGeneralizedDiceV1(
    OverlapLoss, paper="ma2021", range=(0, 1), without=("pooled", "absent", "class_weights")
):
    r"""Generalised Dice whose weight $1 / (G + 10^{-10})^2$ leaves no gradient at all when a class is absent.

    Per sample, with `smooth` on both sides of a ratio that is itself about 1/G (`GDiceLoss`; the same, with
    `smooth=1e-10`, in the boundary loss's repository).
    """

    background: bool = True
    smooth: NonNegative = 1e-5

    def formula(self, tp: Tensor, s: Tensor, g: Tensor) -> Tensor:
        w = (g + 1e-10) ** -2
        overlap, total = (w * tp).sum(1, keepdim=True), (w * (s + g)).sum(1, keepdim=True)
        return 1 - 2 * (overlap + self.smooth) / (total + self.smooth)


class ReleasedPenaltyGeneralizedDice(ReleasedGeneralizedDiceV1, paper="ma2021"):
    r"""Penalty generalised Dice with the penalty applied to the loss x instead of to the score: $x / (1 + k (1 - x))$.

    The inverse of the right function: it flattens the loss near the perfect prediction, where the paper steepens it.
    """

    k: NonNegative = 2.5

    def of(self, pair: Pair) -> Tensor:
        x = super().of(pair)
        return x / (1 + self.k * (1 - x))


class ReleasedLovasz(Lovasz, paper="ma2021", range=(0, inf)):
    """Lovasz loss of raw logits: the trainer never applied the softmax, so errors |g - z| are not bounded."""

    classes: Literal["present", "all"] = "all"

    def ask(self, pair: Pair, request: Request) -> None:
        """Ask nothing of the pass over the logits, because the errors are those of the logits themselves."""

    def of(self, pair: Pair) -> Tensor:
        if is_hinge(pair):
            return super().of(pair)
        z = pair.known_z
        excess = z - pair.g if pair.weight is None else (z - pair.g) * pair.weight
        return (self.increments(pair, z.detach().clone()) * excess).sum()


class ReleasedLogarithmicDice(Dice, paper="ma2021", range=(0, inf)):
    """Logarithmic Dice of the mean score over classes, not the mean of each class's logarithm."""

    exponent: Positive = 0.3

    def of(self, pair: Pair) -> Tensor:
        return power(-(1 - super().of(pair)).clamp(min=1e-6).log(), self.exponent)


@preset(paper="ma2021")
def ReleasedExponentialLogarithmic(exponent: float = 0.3, class_weights: ClassWeights = None) -> Sum:
    """Exponential-logarithmic loss whose cross entropy has no exponent and divides by the sum of the weights."""
    ce = CrossEntropy(class_weights=class_weights, normalization="weights")
    return 0.8 * ReleasedLogarithmicDice(exponent=exponent) + 0.2 * ce


class ReleasedBoundary(LinearLoss, paper="ma2021", alone=False):
    """Boundary loss whose distance is 0 on the object's edge voxels and jumps to -2 behind them.

    EDT(outside) - EDT(inside), with the edge voxels set to 0.
    """

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"edges": SignedDistance(), "phi": SignedDistance(zero="none")}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        edges, phi = super().maps(pair)
        return (torch.where(edges == 0, 0, phi),)

    def formula(self, s_phi: Tensor, g_phi: Tensor) -> Tensor:
        return s_phi


@preset(paper="ma2021")
def ReleasedDiceBoundary() -> Sum:
    """Dice and boundary loss with the constant weights 0.01 and 0.99, to continue a training with Dice."""
    return 0.01 * Dice() + 0.99 * ReleasedBoundary()


class ReleasedHausdorffDT(HausdorffDT, paper="ma2021", alone=False):
    """Hausdorff loss with distances inside the masks only: an error outside both is free at any distance."""

    prediction: Literal["argmax", "threshold"] = "threshold"

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"d": SignedDistance(zero="none", normalize=self.normalize)}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        return tuple((-phi).clamp(min=0) for phi in super().maps(pair))


@preset(paper="ma2021", hides=("square",))
def ReleasedDiceHausdorff() -> Sum:
    """Dice and Hausdorff loss with the weight of Dice taken from each batch."""
    return Ratio("batch") * Dice() + ReleasedHausdorffDT()
