"""Structural similarity: cross entropy where the prediction's neighbourhood differs most from the truth's."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.fields import Fraction, Positive
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import Request
from lossodyssey.kernels.standardised import standardised


class StructuralSimilarity(
    Loss, paper="zhao2019ssl", range=(0, inf), local=False, monotone=False, aliases=("SSL", "StructuralSimilarityLoss")
):
    r"""Structural similarity loss: cross entropy, and once more where neighbourhoods differ in structure.

    $\lambda\,\mathrm{CE} + (1 - \lambda) \frac{\sum_x f_x e_x\,\mathrm{CE}_x}{\sum_x f_x}$ with the structural error
    $e = \left|\frac{g - \mu_g + C}{\sigma_g + C} - \frac{s - \mu_s + C}{\sigma_s + C}\right|$ of a voxel's true class,
    and f = 1 where e exceeds `share` times the greatest e of its sample and class. Mean and deviation are those of a
    Gaussian window of three voxels a side.

    For thin and small parts, whose neighbourhoods have the most structure; $\lambda$ is `ce`, and `ce=1` is
    `CrossEntropy`. e is 0 where two neighbourhoods differ by contrast and brightness only, up to C (`constant`). With
    `detach=True` e is a constant weight, and the gradient is not that of the value then. Under sigmoid every channel
    has an error of its own. Voxels that do not count are outside of every window. Its peak memory is up to 10 times the
    logits. The formula is remembered: the paper's text was not at hand, the authors released no code, and two others
    contradict each other.
    """

    ce: Fraction = 0.5
    share: Fraction = 0.1
    constant: Positive = 0.01
    detach: bool = False

    def ask(self, pair: Pair, request: Request) -> None:
        request.log_p = True

    def of(self, pair: Pair) -> Tensor:
        values = -pair.log_p(self)
        weight = torch.ones_like(values) if pair.weight is None else pair.weight.expand_as(values)
        values = torch.where(weight > 0, values, 0)
        plain = quotient((weight * values).sum(dtype=torch.float64), weight.sum(dtype=torch.float64))
        if self.ce == 1 or not pair.z.numel():  # without voxels there is no greatest error
            return plain

        e, kept = self.chosen(pair)
        kept = kept * weight
        hard = quotient((kept * e * values).sum(dtype=torch.float64), kept.sum(dtype=torch.float64))
        return self.ce * plain + (1 - self.ce) * hard

    def chosen(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Return the error of each voxel's true class, or of each channel, (N, E, V), and how much of it is kept."""
        e = self.errors(pair)
        kept = e.detach() > self.share * e.detach().amax(2, keepdim=True)
        if pair.sigmoid:
            return e, kept
        return (pair.g * e).sum(1, keepdim=True), (pair.g * kept).sum(1, keepdim=True)

    def errors(self, pair: Pair) -> Tensor:
        """Return the structural error of each voxel and class, (N, C, V)."""
        s = pair.s.detach() if self.detach else pair.s
        space = (len(s) * pair.classes, *pair.shape)
        counted = pair.valid.expand_as(s).reshape(space)
        true, predicted = (standardised(x.reshape(space), counted, self.constant) for x in (pair.g, s))
        return (true - predicted).abs().reshape(s.shape)
