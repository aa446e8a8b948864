"""Lovasz: the convex surrogate of the Jaccard loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossodyssey.kernels import MapTerm, Request, transformed
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

    def ask(self, pair: Pair, request: Request) -> None:
        if not is_hinge(pair):
            increments = self.increments(pair, pair.fresh_s())
            first = pair.first_class(self.background)
            request.map_terms.append(MapTerm(self, weighted_error, (increments,), first))

    def of(self, pair: Pair) -> Tensor:
        if not is_hinge(pair):
            return pair.term(self)
        hinge = (1 - pair.z.to(pair.dtype) * (2 * pair.g - 1)).clamp(min=0)
        increments = self.increments(pair, hinge.detach().clone())
        return (increments * (hinge if pair.weight is None else hinge * pair.weight[:, None])).sum()

    @torch.no_grad()
    def increments(self, pair: Pair, x: Tensor) -> Tensor:
        """The slope of the loss by each voxel's error, (N, C, V), written over the probabilities or hinges `x`.

        The loss is linear in the errors as long as their order stays: all its derivatives follow from this.
        """
        shares = self.shares(pair)
        x[:, : pair.first_class(self.background)] = 0
        for label in range(pair.first_class(self.background), pair.classes):
            g = pair.g_of(label).to(x.dtype)
            errors = x[:, label] if is_hinge(pair) else (g - x[:, label]).abs_()
            if pair.weight is not None:
                errors, g = errors.where(pair.weight > 0, -1), g * (pair.weight > 0)
            if self.batch:
                errors, g = errors.reshape(1, -1), g.reshape(1, -1)
            slopes = steps(errors, g, skipped=shares[:, label] == 0).mul_(shares[:, label, None])
            x[:, label] = slopes.reshape(len(x), -1)
        return x if pair.weight is None else x / pair.weight.where(pair.weight > 0, 1)[:, None]

    def shares(self, pair: Pair) -> Tensor:
        """Weight of every unit and class in the mean, (units, C); 0 where a class does not count."""
        first, valid = pair.first_class(self.background), 1 if pair.weight is None else pair.weight > 0
        counts = torch.stack([(pair.g_of(label) * valid).sum(1) for label in range(pair.classes)], 1)
        if self.batch:
            counts = counts.sum(0, keepdim=True)
        present = (counts > 0) | (self.classes == "all" or is_hinge(pair))
        present[:, :first] = False
        return quotient(present.to(pair.dtype), present.sum())


def is_hinge(pair: Pair) -> bool:
    """Whether the errors are hinges of one channel's margin."""
    return pair.sigmoid and pair.classes == 1


def weighted_error(s: Tensor, g: Tensor, increments: Tensor) -> Tensor:
    """Errors times their slopes: the sum over the voxels is the Lovasz extension."""
    return increments * (g - s).abs()


def steps(errors: Tensor, g: Tensor, skipped: Tensor) -> Tensor:
    """Increments of the Jaccard loss along the falling errors of each row (R, V), in the voxels' own order.

    Negative errors mark voxels that do not count: they come last. A row that is skipped is 0.
    """
    if transformed():
        total = g.sum(-1, dtype=torch.float64, keepdim=True)
        order = errors.sort(dim=-1, descending=True, stable=True).indices
        return torch.zeros_like(errors).scatter_(-1, order, jaccard_steps(g.gather(-1, order), total))
    slopes = torch.zeros_like(errors)
    for row in (~skipped).nonzero()[:, 0].tolist():
        _fill_row(slopes[row], errors[row], g[row])
    return slopes


def _fill_row(slopes: Tensor, errors: Tensor, g: Tensor) -> None:
    # Once all true voxels are behind, the loss is 1 and grows no more: smaller errors need no sorting.
    least = torch.minimum(errors.where(g > 0, torch.inf).amin(), errors.amax())
    kept = (errors >= least).nonzero()[:, 0]
    order, truth = falling(errors.index_select(0, kept), g.index_select(0, kept), kept)
    slopes.index_copy_(0, order, jaccard_steps(truth, g.sum(dtype=torch.float64)))


def jaccard_steps(g: Tensor, total: Tensor) -> Tensor:
    """Increments of the Jaccard loss when the voxels, of truth g (..., V), turn wrong one after another."""
    before = g.cumsum(-1, dtype=total.dtype).sub_(g)
    union = torch.arange(g.shape[-1], device=g.device).sub(before).add_(total).to(g.dtype)
    hits, misses = (total - before).to(g.dtype), 1 - g
    slopes = hits.mul_(misses).addcmul_(g, union).div_(misses.add_(union).mul_(union).clamp_(min=1e-30))
    return slopes.where(union > 0, 1)


def falling(errors: Tensor, g: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """The positions and the truths of the errors (V,) in falling order."""
    hard = bool(((g == 0) | (g == 1)).all())
    if not hard or errors.device.type != "cpu" or errors.dtype != torch.float32:
        order = errors.sort(dim=0, descending=True, stable=True).indices
        return positions.index_select(0, order), g.index_select(0, order)
    # Floats that are not negative order like their bits: one integer of bits, position and truth sorts far faster.
    keys = (~errors.view(torch.int32)).long().bitwise_left_shift_(32)
    keys.bitwise_or_(positions.mul(2).add_(g.long()))
    keys.numpy().sort()
    return keys.bitwise_and(0xFFFFFFFF).bitwise_right_shift_(1), keys.bitwise_and_(1).to(g.dtype)
