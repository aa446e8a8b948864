"""The generalised surface loss: the share of the squared distances that is predicted right."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, BoundaryDistance
from lossodyssey.core.fields import ClassWeights, NonNegative
from lossodyssey.core.kinds import MapLoss, class_weights, quotient
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import MapTerm, Request


class GeneralizedSurface(MapLoss, paper="celaya2023", range=(0, 1), alone=False, aliases=("GSL",)):
    r"""Generalised surface loss: one minus the share of the squared boundary distances that is predicted right.

    $1 - \frac{\sum_c w_c \sum_i (d_{ic} (1 - |s_{ic} - g_{ic}|))^2}{\sum_c w_c \sum_i d_{ic}^2}$ per sample, with the
    distance d to the other side of the true boundary of class c, and $w_c = 1 / (n_c^2 + 1)$ for n true voxels, or
    the `class_weights`. For hard truths $(1 - |s - g|)^2$ is $(1 - (s + g))^2$, as the authors' code writes it.

    It lies between 0 (perfect) and 1 (everything wrong); the distances follow from the labels alone. A missed object
    costs little, because distances inside it are short: together with a region loss that hands over to it, as the
    authors do: `Ramp(1, 0) * DiceCE() + Ramp(0, 1) * GeneralizedSurface()`. A class that is absent from a sample or
    fills it has no distances. `smooth` is added to the denominator once per class; the authors' code adds 1e-6 there,
    and does not reach 0 then.
    """

    background: bool = True
    class_weights: ClassWeights = None
    smooth: NonNegative = 0.0

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"d": BoundaryDistance()}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        (d,) = super().maps(pair)
        w, first = self.class_shares(pair), pair.first_class(self.background)
        totals = (w * squares_of(d, pair.weight))[:, first:].sum(1, keepdim=True)
        share = quotient(w, totals + self.smooth * (pair.classes - first))
        return d, pair.per_class(share.sqrt())

    def ask(self, pair: Pair, request: Request) -> None:
        formula = partial(self.formula, soft=pair.truth.soft)
        request.map_terms.append(MapTerm(self, formula, self.maps(pair), pair.first_class(self.background)))

    def class_shares(self, pair: Pair) -> Tensor:
        """Return the weight of each class of each sample, (N, C)."""
        if (weights := class_weights(self, pair)) is not None:
            return pair.z.new_tensor(weights, dtype=torch.float64).expand(len(pair.z), -1)
        sizes = [size_of(pair, label) for label in range(pair.classes)]
        return 1 / (torch.stack(sizes, 1) ** 2 + 1)

    def formula(self, s: Tensor, g: Tensor, d: Tensor, root: Tensor, soft: bool = False) -> Tensor:
        # Of a hard truth |s + g - 1| is 1 - |s - g|: fewer steps, and no sign that a gradient has to look up.
        right = 1 - (s - g).abs() if soft else s.add(g).sub_(1)
        whole = root * d
        found = whole * right
        return whole * whole - found * found

    def of(self, pair: Pair) -> Tensor:
        return quotient(pair.term(self), pair.counted.any(1).sum())


def squares_of(d: Tensor, weight: Tensor | None) -> Tensor:
    """Return the sums of the squares of a map (N, C, V) over the voxels that count, (N, C)."""
    sums = []
    for label, part in enumerate(d.unbind(1)):  # one by one: all at once would be a map more
        squares = part * part
        if weight is not None:
            squares = squares * weight[:, label if weight.shape[1] > 1 else 0]
        sums.append(squares.sum(1))
    return torch.stack(sums, 1).double()


def size_of(pair: Pair, label: int) -> Tensor:
    """Return how many voxels of a class count in each sample, (N,)."""
    g, weight = pair.g_of(label), pair.weight_of(label)
    if weight is None and g.dtype == torch.bool:
        return g.count_nonzero(1).double()
    return (g if weight is None else g * weight).sum(1).double()
