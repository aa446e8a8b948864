"""Lovasz: the convex surrogate of the Jaccard loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossodyssey.losses.loss import Loss, quotient
from lossodyssey.losses.pair import Pair


class Lovasz(Loss, paper="berman2018", range=(0, 1)):
    r"""Lovasz-softmax loss: the Jaccard loss, extended from sets to errors by the Lovasz extension.

    $\frac{1}{|C|} \sum_c \sum_i m_{\pi(i)} \Delta_i$, with the errors $m = |g - s|$ sorted decreasingly and
    $\Delta$ the increments of the Jaccard loss along that order (Loss odyssey, Eq. 11 to 13).

    Equal to one minus the Jaccard index on hard predictions. `classes="present"` averages over the classes with true
    voxels, "all" over all. `batch=True` sorts the voxels of the whole batch together. One-channel logits give the
    Lovasz hinge, with errors $\max(0, 1 - z (2g - 1))$, which is not bounded by 1.
    """

    background: bool = True
    batch: bool = True
    classes: Literal["present", "all"] = "present"

    def of(self, pair: Pair) -> Tensor:
        first = pair.first_class(self.background)
        errors, g = self.errors(pair)[:, first:], pair.g[:, first:]
        if pair.weight is not None:
            valid = pair.weight[:, None] > 0
            errors, g = torch.where(valid, errors, -1), torch.where(valid, g, 0)
        if self.batch:
            errors, g = (x.transpose(0, 1).flatten(1)[None] for x in (errors, g))
        values = extension(errors, g)
        hinge = pair.sigmoid and pair.classes == 1
        counts = torch.ones_like(values) if self.classes == "all" or hinge else (g.sum(2) > 0).to(values)
        return quotient((values * counts).sum(), counts.sum())

    def errors(self, pair: Pair) -> Tensor:
        """Errors (N, C, V): |g - s|, or the hinge of the margin for one-channel logits."""
        if pair.sigmoid and pair.classes == 1:
            return (1 - pair.z.to(pair.dtype) * (2 * pair.g - 1)).clamp(min=0)
        return (pair.g - pair.s).abs()


def extension(errors: Tensor, g: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss (..., V) -> (...): errors sorted, times the loss's increments.

    Negative errors mark voxels that do not count: they come last and add nothing.
    """
    ordered, order = errors.sort(-1, descending=True)
    truth = g.gather(-1, order).double()
    total = truth.sum(-1, keepdim=True)
    union = total + (1 - truth).cumsum(-1)
    jaccard = 1 - (total - truth.cumsum(-1)) / union.clamp(min=1)
    increments = torch.diff(jaccard, dim=-1, prepend=torch.zeros_like(total))
    return (ordered.clamp(min=0) * increments).sum(-1)
