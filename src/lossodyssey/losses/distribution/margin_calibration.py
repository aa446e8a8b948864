"""Margins that follow the frequency of the classes."""

from __future__ import annotations

import math
from math import inf

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.core.fields import NonNegative, Positive
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair


class MarginCalibration(Loss, paper="yu2021", range=(0, inf), aliases=("MarginLogLoss",)):
    r"""Margin calibration: a logistic loss of each class's lead over the best other class, with margins by frequency.

    $\frac{1}{NC} \sum_i \left(C \log(1 + e^{\rho^+_y - m_y}) + \sum_{c \ne y} \log(1 + e^{m_c + \rho^-_c})\right)$ with
    y the true class of voxel i, $m_c = z_c - \max_{k \ne c} z_k$ and, for $n_c$ of all n voxels of the data set,
    $\rho^-_c = \tau \frac{\sqrt{n - n_c}}{n_c}$ and
    $\rho^+_c = \rho^-_c \frac{n_c \sqrt{n_c}}{\upsilon n (n - n_c) - n_c \sqrt{n - n_c}}$.

    For data sets of many classes with very different frequency. `class_counts` are the voxels of each class in the
    training set, background first, as `count_classes` returns them; counts of one image would give margins that no
    prediction reaches. Without them there are no margins, as in a large balanced data set. Under sigmoid a channel has
    two classes with the logits 0 and z, so that counts are for one channel only, of its background and foreground. The
    formula is that of the authors' code; the paper was not read.
    """

    class_counts: tuple[Positive, ...] = ()
    tau: NonNegative = 10.0
    upsilon: Positive = 1.0

    def of(self, pair: Pair) -> Tensor:
        high, low = self.margins(pair)
        z, g = pair.known_z, pair.g
        if pair.sigmoid:
            return pair.mean_of(g * wins(z, high[1], low[0]) + (1 - g) * wins(-z, high[0], low[1]))
        lead = leads(z)
        right, wrong = F.softplus(high[:, None] - lead), F.softplus(lead + low[:, None])
        return pair.mean_of(pair.classes * g * right + (1 - g) * wrong)

    def margins(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Return the margins of each class where it is the true one, and where it is not.

        Raises:
            ValueError: another number of counts than classes.
        """
        classes = 2 if pair.sigmoid else pair.classes
        if not self.class_counts:
            nothing = pair.known_z.new_zeros(classes)
            return nothing, nothing
        if len(self.class_counts) != classes or (pair.sigmoid and pair.classes > 1):
            raise ValueError(
                f"MarginCalibration.class_counts is {self.class_counts}, but there are {pair.classes} "
                f"{'regions' if pair.sigmoid else 'classes'}: expected one count per class, background first, or with "
                "one channel those of background and foreground"
            )
        n = sum(self.class_counts)
        low = [self.tau * math.sqrt(n - k) / k for k in self.class_counts]
        rests = [self.upsilon * n * (n - k) - k * math.sqrt(n - k) for k in self.class_counts]
        if min(rests) <= 0:
            raise ValueError(
                f"MarginCalibration.upsilon is {self.upsilon}, too small for class_counts {self.class_counts}: a "
                "margin would be negative; expected 1 or more, and counts of voxels"
            )
        high = [m * k * math.sqrt(k) / rest for m, k, rest in zip(low, self.class_counts, rests, strict=True)]
        return pair.known_z.new_tensor(high), pair.known_z.new_tensor(low)


def leads(z: Tensor) -> Tensor:
    """Return how far each logit of (N, C, V) lies above the largest other one."""
    best = z.topk(2, 1)
    own = torch.arange(z.shape[1], device=z.device)[:, None] == best.indices[:, :1]
    return z - torch.where(own, best.values[:, 1:], best.values[:, :1])


def wins(lead: Tensor, high: Tensor, low: Tensor) -> Tensor:
    """Return the mean over two classes, of which the true one leads by `lead`, given the margins of both."""
    return (2 * F.softplus(high - lead) + F.softplus(low - lead)) / 2
