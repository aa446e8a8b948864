"""Lovasz: the convex surrogate of the Jaccard loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import MapSum, Request, transformed
from lossodyssey.kernels.ordering import jaccard_increments_

LOGITS_PER_ENTRY = 6
"""Logits per voxel that is sorted at a time: what is kept of these voxels is then a third of the logits' size."""


class Lovasz(Loss, paper="berman2018", range=(0, 1), aliases=("LovaszSoftmax",)):
    r"""Lovasz-softmax loss: the Jaccard loss, extended from sets to errors by the Lovasz extension.

    $\frac{1}{|C|} \sum_c \sum_i m_{\pi(i)} \Delta_i$, with the errors $m = |g - s|$ sorted decreasingly and
    $\Delta$ the increments of the Jaccard loss along that order (Loss odyssey, Eq. 11 to 13).

    Equal to one minus the Jaccard index on hard predictions. `classes="present"` averages over the classes with true
    voxels, "all" over all. `batch=True` sorts the voxels of the whole batch together. `batch=False` sorts each
    sample's, and averages over all pairs of a sample and a class that counts in it, so that samples with more classes
    weigh more; the authors' `per_image=True` averages over the classes of a sample first, which is the mean of
    `Lovasz()` over the samples one by one. One-channel logits give the Lovasz hinge, with errors
    $\max(0, 1 - z (2g - 1))$, which is not bounded by 1.
    """

    background: bool = True
    batch: bool = True
    classes: Literal["present", "all"] = "present"

    def ask(self, pair: Pair, request: Request) -> None:
        if not is_hinge(pair):
            request.map_sums.append(
                MapSum(self, self.increments(pair, pair.fresh_s()), pair.first_class(self.background))
            )

    def of(self, pair: Pair) -> Tensor:
        if not is_hinge(pair):
            s_x, g_x = pair.map_sums(self)
            return (s_x - g_x).sum()
        hinge = (1 - pair.known_z * (2 * pair.g - 1)).clamp(min=0)
        increments = self.increments(pair, hinge.detach().clone())
        return (increments * (hinge if pair.weight is None else hinge * pair.weight)).sum()

    @torch.no_grad()
    def increments(self, pair: Pair, x: Tensor) -> Tensor:
        """Return the gradient of the loss by each voxel's probability or hinge, (N, C, V), written over these, `x`.

        The loss is linear in the errors as long as their order stays: all its derivatives follow from this. An error
        m = |g - s| is linear in s as long as its sign stays, so that the loss is the sum of (s - g) times the gradient.
        """
        first, shares = pair.first_class(self.background), self.shares(pair)
        x[:, :first] = 0
        for label in range(first, pair.classes):
            self.fill(pair, x[:, label], label, shares[:, label], x.numel() // LOGITS_PER_ENTRY)
        # The pass multiplies terms by the weights of voxels, while this loss asks only whether a voxel counts.
        return x if pair.weight is None else x.div_(pair.weight.where(pair.weight > 0, 1))

    def fill(self, pair: Pair, errors: Tensor, label: int, shares: Tensor, room: int) -> None:
        """Turn the probabilities or hinges (N, V) of one class into gradients; `shares` (units,) weigh them."""
        g, signs = pair.g_of(label), torch.ones((), dtype=torch.int8, device=errors.device)
        if not is_hinge(pair):
            signs = errors.add_(g, alpha=-1).sign().char()  # a byte a voxel
            errors.abs_()
        weight = pair.weight_of(label)
        if weight is not None:
            # A negative error marks a voxel that does not count.
            errors.masked_fill_(weight <= 0, -1)

        units = len(shares)
        for unit, truth, share in zip(errors.chunk(units), g.chunk(units), shares, strict=True):
            if transformed() or share > 0:
                jaccard_increments_(unit, truth, room)
        errors.mul_(shares[:, None]).mul_(signs)

    def shares(self, pair: Pair) -> Tensor:
        """Return the weight of every unit and class in the mean, (units, C); 0 where a class does not count."""
        everything = self.classes == "all" or is_hinge(pair)
        labels = range(pair.classes)
        present = pair.counted if everything else torch.stack([self.present(pair, label) for label in labels], 1)
        if self.batch:
            present = present.any(0, keepdim=True)
        present = present & (torch.arange(pair.classes, device=present.device) >= pair.first_class(self.background))
        return quotient(present, present.sum(dtype=pair.dtype))

    def present(self, pair: Pair, label: int) -> Tensor:
        """Return whether each sample has a true voxel of the class that counts, (N,)."""
        weight, g = pair.weight_of(label), pair.g_of(label)
        return (g if weight is None else g * (weight > 0)).any(1)


def is_hinge(pair: Pair) -> bool:
    """Return whether the errors are hinges of a one-channel head's margin; a region looked at alone has none."""
    return pair.sigmoid and pair.unmerged == 1
