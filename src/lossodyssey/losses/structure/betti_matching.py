"""Betti matching: persistent features of the prediction and the truth that are the same by where they are."""

from __future__ import annotations

from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.kernels.induced import Matching, induced_matching
from lossodyssey.kernels.persistence import NEVER
from lossodyssey.losses.structure.persistence import PersistenceLoss, enclosing


class BettiMatching(PersistenceLoss, paper="stucki2023", range=(0, inf), alone=False):
    r"""Betti matching loss: true features are matched with predicted ones where they are, all others are to vanish.

    $2 \sum_{M} (b - b')^2 + (d - d')^2 + \sum_{U} (b - d)^2$ per sample and class, then the mean; M are the matched
    features, born at levels b and b' of prediction and truth and dying at d and d', U those of both without a partner.
    Two features are partners if they become one in the union of prediction and truth, so that a false piece does not
    stand for a true one elsewhere, as it does for `PersistenceMatching`. The last piece dies at 0, and the last pieces
    of prediction and truth are partners.

    For vessels, membranes and cells where the place of a mistake matters, beside a region loss and with a small
    weight. Pieces are matched, and what they enclose: holes of a plane, cavities of a volume, but not tunnels.
    `levels="both"` is the mean with the same loss of 1 - s and 1 - g. The paper's text was not read for this, and the
    authors' code leaves out the piece that never dies.
    """

    levels: Literal["upper", "both"] = "upper"

    def points(self, s: Tensor, true: Tensor) -> tuple[Tensor, ...]:
        g = s.new_ones(()) * true
        fields = [(0.0, s, g), (1.0, 1 - s, 1 - g)][: 2 if self.levels == "both" else 1]
        found = [self.features(flip, p, t, k) for flip, p, t in fields for k in enclosing(s.shape)]
        return tuple(torch.cat(each) for each in zip(*found, strict=True))

    def formula(self, s: Tensor, within: Tensor, flip: Tensor, target: Tensor, matched: Tensor, rest: Tensor) -> Tensor:
        ends = (flip + (1 - 2 * flip) * s) * within
        squares = ((ends - target) ** 2).sum(-1)
        lengths = (ends[:, 0] - ends[:, 1]) ** 2
        total = torch.where(matched, 2 * squares, lengths).sum(dtype=torch.float64) + rest.sum()
        return total / 2 if self.levels == "both" else total

    def features(self, flip: float, s: Tensor, g: Tensor, dimension: int) -> tuple[Tensor, ...]:
        """Return the voxels of one dimension and the constants of the formula, in its order."""
        ours, theirs, partners = map(torch.from_numpy, self.matching(s, g, dimension))
        true_ends = torch.where(theirs == NEVER, 0, g.cpu().flatten()[theirs])
        matched, alone = torch.zeros(len(ours), dtype=torch.bool), torch.ones(len(theirs), dtype=torch.bool)
        target = torch.zeros_like(ours, dtype=g.dtype)
        own, other = partners.unbind(1)
        matched[own], alone[other], target[own] = True, False, true_ends[other]
        rest = (true_ends[alone].diff() ** 2).sum()[None]
        return ours.clamp(min=0), ours != NEVER, torch.full((len(ours), 1), flip), target, matched, rest

    def matching(self, s: Tensor, g: Tensor, dimension: int) -> Matching:
        """Return the features of both and the rows of the partners."""
        return induced_matching(s, g, self.connectivity, dimension)
