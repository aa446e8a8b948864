"""Losses of calibration: whether a probability is the share of voxels that are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import Interval
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.kinds import quotient

Bins = Annotated[int, Interval(1, 1000)]
FEWEST = 0.01
"""The weight from which on a bin of the soft form counts."""


class AverageCalibrationError(
    GridLoss, paper="barfoot2024", range=(0, 1), alone=False, local=True, monotone=False, aliases=("ML1ACE", "mL1ACE")
):
    r"""Marginal L1 average calibration error: the mean gap between predicted probability and true share.

    $\frac{1}{M} \sum_m |\bar s_m - \bar g_m|$ over the M bins of [0, 1] that have voxels, per sample and class, with
    the means of s and g over the voxels whose s falls into bin m.

    Beside a region or distribution loss, for probabilities that are meant to be read as such. It compares means: voxels
    may change places within a bin. `binning="hard"` puts a voxel into one bin, and its gradient is that of the mean
    alone; "soft" shares it between the two nearest centres of bins, and the shares have a gradient. `absent="skip"`
    leaves classes without true voxels out, "count" counts them like the others; the released code counts them as 0,
    so that their false alarms are free. The formula is that of this code; the paper was not read.
    """

    background: bool = True
    bins: Bins = 20
    binning: Literal["hard", "soft"] = "hard"
    absent: Literal["skip", "count"] = "skip"

    def formula(self, s: Tensor, g: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        s, g, weight = (x.flatten(2).double() for x in (s, g, weight.expand_as(s)))
        in_bins = (hard_bins if self.binning == "hard" else soft_bins)(s, self.bins)
        voxels, gaps = in_bins(weight), in_bins(weight * (s - g)).abs()

        filled = voxels > (FEWEST if self.binning == "soft" else 0)
        values = quotient(torch.where(filled, quotient(gaps, voxels), 0).sum(2), filled.sum(2))
        present = (weight * g).sum(2) > 0
        return values, present if self.absent == "skip" else torch.ones_like(present)


def hard_bins(s: Tensor, bins: int) -> Callable[[Tensor], Tensor]:
    """Return the function that adds up values (N, C, V) in the bins of s, open on the left and closed on the right."""
    index = (s.detach() * bins).ceil().long().sub(1).clamp(0, bins - 1)
    return lambda values: s.new_zeros(*s.shape[:2], bins).scatter_add(2, index, values)


def soft_bins(s: Tensor, bins: int) -> Callable[[Tensor], Tensor]:
    """Return the function that adds up values (N, C, V), each shared between the two centres of bins nearest to s."""
    place = (s * bins - 0.5).clamp(0, bins - 1)
    low = place.detach().floor().long()
    share, above = place - low, (low + 1).clamp(max=bins - 1)
    empty = s.new_zeros(*s.shape[:2], bins)
    return lambda values: empty.scatter_add(2, low, values * (1 - share)).scatter_add(2, above, values * share)
