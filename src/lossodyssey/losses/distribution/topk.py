"""Cross entropy on the hardest voxels only."""

from __future__ import annotations

from functools import partial
from math import inf, log

import torch
from torch import Tensor

from lossodyssey.core.fields import ClassWeights, Fraction, NonNegative, Percent
from lossodyssey.core.kinds import class_weights, quotient, weighted_by_class
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import Request, VoxelTerm
from lossodyssey.kernels.ordering import sum_of_smallest
from lossodyssey.kernels.powers import Factors, Power


class HardVoxelLoss(Loss, abstract=True):
    """Abstract: the mean of the cross entropy, times the weight of the true class, over the voxels that are kept."""

    class_weights: ClassWeights = None

    def ask(self, pair: Pair, request: Request) -> None:
        class_weights(self, pair)
        request.log_p = True

    def hardness(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Return the weighted log-probability of each voxel's truth, flat, and how many voxels count.

        It is 1, above every logarithm of a probability, where a voxel does not count.
        """
        log_p = pair.log_p(self, class_weights(self, pair))
        if pair.weight is None:
            return log_p.flatten(), torch.tensor(log_p.numel(), device=log_p.device)
        valid = (pair.weight > 0).expand_as(log_p)
        return torch.where(valid, log_p, 1).flatten(), valid.sum()


class TopK(
    HardVoxelLoss,
    paper="wu2016",
    range=(0, inf),
    aliases={f"TopK{percent}": {"percent": float(percent)} for percent in (10, 30, 50, 70, 90)},
):
    r"""TopK loss: cross entropy averaged over the hardest `percent` of all voxels of the batch.

    $-\frac{1}{|K|} \sum_{i \in K} w_{g_i} \log p_i$, K the $k\%$ voxels with the largest $-w_{g_i} \log p_i$ (Loss
    odyssey, Eq. 4, which prints $1/N$; the code of all known implementations averages over K).

    `percent=100` is `CrossEntropy`. At least one voxel is kept; ignored voxels are neither kept nor counted.
    `class_weights` multiply a voxel's value before the voxels are ranked, as in nnU-Net's and SegLoss's code.
    """

    percent: Percent = 10.0

    def of(self, pair: Pair) -> Tensor:
        log_p, count = self.hardness(pair)
        # `most` bounds the tensor `kept` in Python, so that no value is read from the device.
        kept = (count * self.percent / 100).long().clamp(min=1).minimum(count)
        most = max(1, int(len(log_p) * self.percent / 100))
        return quotient(-sum_of_smallest(log_p, kept, most), kept)


class TopKThreshold(HardVoxelLoss, paper="wu2016", range=(0, inf)):
    r"""TopK loss by threshold: cross entropy averaged over the voxels whose true class has p < `threshold`.

    $-\frac{1}{|K|} \sum_{i \in K} w_{g_i} \log p_i$, $K = \{i: p_i < t\}$ (Loss odyssey, Eq. 3). 0 where nothing is
    kept.

    `threshold=1` is `CrossEntropy`. `class_weights` multiply the values of the kept voxels and do not affect the
    choice. `OhemCE` is its relative that keeps some voxels however good the prediction is.
    """

    threshold: Fraction = 0.3

    def ask(self, pair: Pair, request: Request) -> None:
        weights = class_weights(self, pair)
        formula, factors = partial(self.formula, weights=weights), partial(self.factors, weights=weights)
        request.voxel_terms.append(VoxelTerm(self, formula, powers=factors))
        request.voxel_terms.append(VoxelTerm(self, self.kept, powers=lambda *_: {Power(level=self.level): 1}))

    def of(self, pair: Pair) -> Tensor:
        return quotient(pair.term(self), pair.term(self, 1))

    def formula(self, log_p: Tensor, labels: Tensor, classes: Tensor, weights: ClassWeights) -> Tensor:
        """Return the weighted cross entropy of the voxels that are kept, 0 at the others."""
        return weighted_by_class(torch.where(log_p < self.level, -log_p, 0), classes, weights)

    def factors(self, labels: Tensor, classes: Tensor, weights: ClassWeights) -> Factors:
        """Return the same formula as a power."""
        return {
            Power(log=1, level=self.level): weighted_by_class(torch.ones(()).expand(labels.shape), classes, weights)
        }

    def kept(self, log_p: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
        """Return which voxels have p < `threshold`."""
        return log_p.detach() < self.level

    @property
    def level(self) -> float:
        return level_of(self.threshold)


class OhemCE(HardVoxelLoss, paper="shrivastava2016", range=(0, inf), aliases=("OHEM", "OnlineHardExampleMining")):
    r"""OHEM cross entropy: cross entropy averaged over the voxels with p < `threshold`, and never over too few.

    $-\frac{1}{|K|} \sum_{i \in K} w_{g_i} \log p_i$, K the voxels of the batch with $p_i < t$ together with the
    `min_kept` hardest. Below 1 `min_kept` is a share of all voxels that count, from 1 on a number of voxels.

    For scenes in which most voxels are easy; the threshold follows the progress of training, and `min_kept` keeps a
    gradient when nearly all voxels are right. `threshold=1` is `CrossEntropy`, `threshold=0` is `TopK` of that
    percentage, `TopKThreshold` has no `min_kept`. The formula is that of published code; the paper mines regions and
    was not read. Where probabilities are equal that code keeps fewer voxels, and none of a perfect prediction.
    `class_weights` multiply a voxel's value before it is compared and ranked, as in `TopK`.
    """

    threshold: Fraction = 0.7
    min_kept: NonNegative = 0.1

    def of(self, pair: Pair) -> Tensor:
        log_p, count = self.hardness(pair)
        least = count * self.min_kept if self.min_kept < 1 else torch.full_like(count, int(self.min_kept))
        # The union of two sets of the hardest voxels is the larger of them. A voxel that does not count has log_p = 1.
        kept = torch.maximum((log_p < level_of(self.threshold)).sum(), least.long().clamp(min=1)).minimum(count)
        return quotient(-sum_of_smallest(log_p, kept, len(log_p)), kept)


def level_of(threshold: float) -> float:
    """Return the logarithm of a probability that a voxel must stay below to be kept."""
    if threshold == 1:  # p < 1 of every voxel, also of one that rounding has brought to 1
        return inf
    return log(threshold) if threshold else -inf
