"""Topological interaction: which classes may touch, and which must lie inside which."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary.components import Connectivity
from lossodyssey.core.fields import Interval
from lossodyssey.core.kinds import VoxelLoss, quotient
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.boxes import reached
from lossodyssey.kernels.powers import Factors, Power
from lossodyssey.losses.structure.contacts import apart_in_truth, check_classes, predicted_masks

Side = int | tuple[int, ...]
"""A class, or several classes as one."""
Relations = tuple[tuple[Side, ...], ...]
"""Pairs of sides."""


class TopologicalInteraction(
    VoxelLoss,
    paper="gupta2022",
    range=(0, inf),
    alone=False,
    local=False,
    monotone=False,
    fewest_classes=3,
    without=("class_weights", "normalization"),
    aliases=("TILoss", "BTILoss"),
):
    r"""Topological interaction loss: cross entropy of the voxels at which classes touch that must not.

    $-\sum_{i \in K} \log p_i$ per sample, then the mean. A voxel is critical, in K, if the prediction's likeliest
    classes break a rule there: of a pair (A, C) of `forbidden`, a voxel of A beside one of C, and the other way round;
    of a pair (A, B) of `inclusion`, which says that A touches A and B only, the same with every other class as C.

    Beside a region loss, for organs in layers and vessels in walls: `DiceCE() + 1e-4 * TopologicalInteraction(...)` in
    a plane and 1e-6 in a volume are the authors' weights, because the value is a sum. `per="voxel"` divides it by the
    voxels of the sample, for weights near 1. It is blind to everything but contact: an empty prediction costs 0. A
    side may be a set of classes, `inclusion=((1, (2, 3)),)`. Neither the image's border nor a voxel that does not
    count breaks a rule. Neighbours share a face, edge or corner, with `connectivity="faces"` a face; with a
    `thickness` t there must be t voxels between the classes. Without any rule the forbidden pairs are those that do not
    touch in the sample's own labels. The paper's text was not at hand.
    """

    forbidden: Relations | None = None
    inclusion: Relations = ()
    connectivity: Connectivity = "full"
    thickness: Annotated[int, Interval(1, 10)] = 1
    per: Literal["sample", "voxel"] = "sample"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()

    def _check(self) -> None:
        """Raise ValueError where no rule is given, and for what is not a pair of classes or sets."""
        if self.forbidden == () and not self.inclusion:
            raise ValueError("TopologicalInteraction.forbidden is empty, expected pairs, or some in inclusion")
        for name in ("forbidden", "inclusion"):
            for each in getattr(self, name) or ():
                sides = [members(side) for side in each]
                if len(sides) != 2 or not all(sides) or sides[0] & sides[1] or min(sides[0] | sides[1]) < 0:
                    raise ValueError(
                        f"TopologicalInteraction.{name} has {each}, expected two classes, or sets of classes without "
                        "a common one, as (1, (2, 3))"
                    )

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        critical = self.critical(predicted_masks(pair), pair) if pair.z.numel() else pair.s[:, 0]
        return (pair.numbers(critical.reshape(len(pair.z), 1, pair.z.shape[2])),)

    def formula(self, log_p: Tensor, labels: Tensor, critical: Tensor) -> Tensor:
        return -critical * log_p

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=1, of_map=0): 1}

    def of(self, pair: Pair) -> Tensor:
        if self.per == "voxel":
            return super().of(pair)
        return quotient(pair.term(self), pair.counted.any(1).sum())

    def critical(self, masks: Tensor, pair: Pair) -> Tensor:
        """Return the voxels (N, *S) at which the masks (N, C, *S) break a rule."""
        if self.forbidden is None and not self.inclusion:
            apart = pair.numbers(apart_in_truth(pair, corners=self.connectivity == "full"))
            around = apart @ pair.numbers(self.around(masks)).flatten(2)
            return (masks & (around > 0).reshape(masks.shape)).any(1)

        everywhere = masks.any(1, keepdim=True) if not pair.sigmoid else counted(pair)
        found = torch.zeros_like(everywhere)
        for a, c in self.forbidden or ():
            found |= self.meeting(self.union(masks, a, pair), self.union(masks, c, pair))
        for a, b in self.inclusion:
            inner, outer = self.union(masks, a, pair), self.union(masks, b, pair)
            found |= self.meeting(inner, everywhere & ~(inner | outer))
        return found[:, 0]

    def meeting(self, a: Tensor, c: Tensor) -> Tensor:
        """Return the voxels of each mask (N, 1, *S) that lie beside the other."""
        return (a & self.around(c)) | (c & self.around(a))

    def around(self, masks: Tensor) -> Tensor:
        """Return the voxels that lie in or beside masks, within the thickness."""
        return reached(masks, corners=self.connectivity == "full", times=self.thickness)

    def union(self, masks: Tensor, side: Side, pair: Pair) -> Tensor:
        """Return the mask (N, 1, *S) of one side of a rule."""
        check_classes("TopologicalInteraction", members(side), pair)
        return masks[:, sorted(members(side))].any(1, keepdim=True)


def members(side: Side) -> set[int]:
    """Return the classes of one side of a rule."""
    return {side} if isinstance(side, int) else set(side)


def counted(pair: Pair) -> Tensor:
    """Return which voxels count in any channel, (N, 1, *S)."""
    valid = torch.ones_like(pair.z[:, :1], dtype=torch.bool) if pair.weight is None else pair.weight > 0
    return valid.any(1, keepdim=True).reshape(len(valid), 1, *pair.shape)
