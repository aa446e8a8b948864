"""Logits that are no better than the worst of their neighbours of the same class."""

from __future__ import annotations

from math import inf
from typing import Annotated

import torch
from torch import Tensor

from lossodyssey.core.fields import Interval
from lossodyssey.core.grids import class_masks, unflattened
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.kernels.boxes import place_of_largest
from lossodyssey.losses.compound.sums import DiceCE


class SCNP(ViewLoss, paper="valverde2026", local=False, shift_free=False, aliases=("SameClassNeighbours",)):
    r"""Same-class neighbour penalisation (SCNP): any loss on logits as bad as the worst of their neighbours.

    $L(\tilde z, g)$; for the true class of voxel x, $\tilde z_c(x)$ is the least $z_c$ in the box of side `size` around
    x over voxels of class c, for every other class the largest over voxels of other classes.

    For thin and connected structures: one wrong voxel raises the loss of its whole neighbourhood, so that gaps and
    spurious bridges are closed first. `size=1` is the inner loss, and so are logits that are constant in space. The
    logit of one voxel may get the gradients of many, and others get none. A soft truth counts as its likeliest class.
    Voxels outside the image or that do not count are left out of the boxes. The rule is that of the authors' code; of
    the paper the abstract was read.

    Raises:
        ValueError: an even size.
    """

    loss: Loss = DiceCE()
    size: Annotated[int, Interval(1, 99)] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise ValueError(f"SCNP.size is {self.size}, expected an odd number, so that the box has a centre: 3 or 5")

    def views(self, pair: Pair) -> list[View]:
        z, valid = unflattened(pair.known_z, pair), self.valid(pair)
        own = class_masks(pair.truth_for_maps, pair, 0) & valid

        least = place_of_largest(torch.where(own, -z, -inf), self.size)
        largest = place_of_largest(torch.where(valid & ~own, z, -inf), self.size)
        worst = z.flatten(2).gather(2, torch.where(own.flatten(2), least, largest))
        return [(1.0, pair.view(self.inner, logits=worst.view_as(z)))]

    def valid(self, pair: Pair) -> Tensor:
        """Return which voxels count, (N, 1 or C, *S)."""
        counts = torch.ones_like(pair.z[:, :1], dtype=torch.bool) if pair.weight is None else pair.weight > 0
        return unflattened(counts, pair)
