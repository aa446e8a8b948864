"""Cross entropy per class, in which the worst class counts most."""

from __future__ import annotations

from functools import partial
from math import inf

import torch
from torch import Tensor

from lossodyssey.core.fields import Positive
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import Request, VoxelTerm
from lossodyssey.kernels.powers import Factors, Power


class TiltedCE(Loss, paper="szabo2021", range=(0, inf), aliases=("TCE",)):
    r"""Tilted cross entropy: a soft maximum of the classes' mean cross entropies.

    $\frac{1}{t} \log \frac{1}{|P|} \sum_{c \in P} e^{t L_c}$, with $L_c$ the mean of $-\log p_i$ over the true voxels
    of class c in the batch, and P the classes that have any.

    For classes that must not be left behind, whatever their size. `tilt` towards 0 is the mean of the classes' cross
    entropies, and a large one the cross entropy of the worst class alone. Under sigmoid foreground and background of
    every channel are such classes. The formula is remembered, not read in the paper; its running means are left out.
    """

    tilt: Positive = 1.0

    def ask(self, pair: Pair, request: Request) -> None:
        for label, channel in self.kinds(pair):
            formula = partial(self.of_class, label=label, channel=channel)
            factors = partial(self.factors, label=label, channel=channel)
            request.voxel_terms.append(VoxelTerm(self, formula, powers=factors))

    def kinds(self, pair: Pair) -> list[tuple[int, int]]:
        """Return the label and the channel of each class: under sigmoid each channel's background and foreground."""
        channels = range(pair.classes)
        return [(k, c) for k in (0, 1) for c in channels] if pair.sigmoid else [(c, c) for c in channels]

    def of_class(self, log_p: Tensor, labels: Tensor, classes: Tensor, label: int, channel: int) -> Tensor:
        """Return the cross entropy of the voxels of one class, 0 at the others."""
        return torch.where((labels == label) & (classes == channel), -log_p, 0)

    def factors(self, labels: Tensor, classes: Tensor, label: int, channel: int) -> Factors:
        """Return the same as a power."""
        return {Power(log=1): (labels == label) & (classes == channel)}

    def of(self, pair: Pair) -> Tensor:
        statistics = pair.statistics(self)
        true, voxels = statistics.truths.sum(0), statistics.voxels.sum(0)
        sizes = torch.cat([voxels - true, true]) if pair.sigmoid else true
        errors = torch.stack([pair.term(self, k) for k in range(len(sizes))])
        return soft_maximum(quotient(errors, sizes), sizes > 0, self.tilt)


def soft_maximum(values: Tensor, counts: Tensor, tilt: float) -> Tensor:
    """Return log(mean(exp(t x))) / t over the values of 0 or more that count, 0 where none does."""
    largest = values.amax().detach()  # taken out of the exponent, which would overflow
    mean = quotient((counts * torch.exp(tilt * (values - largest))).sum(), counts.sum())
    return largest + torch.log(torch.where(counts.any(), mean, 1)) / tilt
