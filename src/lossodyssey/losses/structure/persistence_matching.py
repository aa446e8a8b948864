"""Matching of persistent features: as many objects and holes as the truth has, and no others."""

from __future__ import annotations

from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.kernels.persistence import NEVER
from lossodyssey.losses.structure.persistence import PersistenceLoss, enclosing, ends


class PersistenceMatching(PersistenceLoss, paper="hu2019", range=(0, inf), alone=False, aliases=("TopoLoss",)):
    r"""Topological loss: the prediction keeps as many features as the truth has, and loses all others.

    $\sum_{k \in M} (1 - b_k)^2 + d_k^2 + \sum_{k \notin M} \frac{(b_k - d_k)^2}{2}$ per sample and class, then the
    mean. A feature is born where s = b and dies where s = d: an object at its peak and where it meets one of a higher
    peak, a hole where it closes and where it is filled. The last object never meets another one, and dies at 0. Per
    dimension, M holds as many features as the truth has: the longest-lived, b - d, as in the paper, or with
    `matching="wasserstein"` those that make the sum least. A true feature without a partner costs 1/2.

    For membranes, vessels and cells, beside a region loss and with a small weight (`DiceCE() + 0.001 *
    PersistenceMatching()`). Only numbers of features are compared, and not their places: a false object may stand
    for a true one. `dimensions` are 0 for objects, 1 for holes of a plane or tunnels of a volume, 2 for cavities of
    a volume; by default objects and what they enclose, holes or cavities. Tunnels need the package gudhi
    (`pip install ".[topology]"`). The paper's text was not read for this; the rule is as others describe it. The
    authors' code compares values of 1 - s with values of s, and thus pushes the other way.
    """

    dimensions: tuple[int, ...] | None = None
    matching: Literal["longest", "wasserstein"] = "longest"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.dimensions
        if given is not None and not (given and len(set(given)) == len(given) and min(given) >= 0):
            raise ValueError(f"PersistenceMatching.dimensions is {given}, expected different numbers from 0 on")

    def points(self, s: Tensor, true: Tensor) -> tuple[Tensor, ...]:
        dimensions = enclosing(s.shape) if self.dimensions is None else self.dimensions
        found, truth = self.pairs(s, dimensions), self.pairs(s.new_ones(()) * true, dimensions)
        # In a mask, features are born at 1 and die at 0; in an empty one the only object is born at 0.
        numbers = {k: int(true.flatten()[pairs[:, 0]].sum()) for k, pairs in truth.items()}
        matched = {k: self.matched(s, pairs, numbers[k]) for k, pairs in found.items()}
        without = sum(numbers[k] - int(matched[k].sum()) for k in dimensions)
        pairs = torch.cat(list(found.values()))
        return pairs.clamp(min=0), pairs != NEVER, torch.cat(list(matched.values())), s.new_tensor(without)

    def formula(self, s: Tensor, within: Tensor, matched: Tensor, without: Tensor) -> Tensor:
        born, dies = (s * within).unbind(-1)
        each = torch.where(matched, (1 - born) ** 2 + dies**2, (born - dies) ** 2 / 2)
        return each.sum(dtype=torch.float64) + without / 2

    def matched(self, s: Tensor, pairs: Tensor, number: int) -> Tensor:
        """Return which of the features have a partner among this number of true ones, (P,) bool."""
        born, dies = ends(s, pairs)
        gain = born - dies
        if self.matching == "wasserstein":
            # A partner saves both from moving to the diagonal, the true one for 1/2.
            gain = (born - dies) ** 2 / 2 + 0.5 - (1 - born) ** 2 - dies**2
            number = min(number, int((gain > 0).sum()))
        found = torch.zeros(len(pairs), dtype=torch.bool, device=s.device)
        found[gain.argsort(descending=True, stable=True)[:number]] = True
        return found
