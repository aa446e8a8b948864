"""The five small scenes that every loss is looked at with: a truth, and a prediction that is wrong in one way.

A shape is its depth: a map (SIDE, SIDE) of how far each pixel lies inside, negative outside. The larger of two depths
is the union of two shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32
"""Pixels along both axes of a scene."""
STEEP, SURE = 1.5, 4.0
"""Logits grow by 1.5 per pixel of depth, up to 4, which is a probability of 0.98: a seam of a few pixels is unsure."""
MIDDLE = (15.5, 11.5)
LARGEST_SHIFT = 12


@dataclass(frozen=True, eq=False)
class Scene:
    """Labels (H, W), and the logits (C, H, W) of a prediction of them; `shown` is the class that pictures are of."""

    name: str
    says: str
    labels: Tensor
    logits: Tensor
    shown: int = 1

    @property
    def truth(self) -> Tensor:
        """Where the shown class is (H, W)."""
        return self.labels == self.shown

    @property
    def probability(self) -> Tensor:
        """The predicted probability of the shown class (H, W)."""
        return self.logits.softmax(0)[self.shown]


def scenes() -> tuple[Scene, ...]:
    """Return the five scenes, each of one object class on background."""
    return (shifted_disc(5), _missed_lesion(), _broken_vessel(), _merged_cells(), _speckle())


def shifted_disc(shift: int) -> Scene:
    """Return a disc, predicted `shift` pixels to the right of it."""
    moved = disc(7, (MIDDLE[0], MIDDLE[1] + shift))
    return _scene("shifted disc", f"predicted {shift} pixels to the right", disc(7, MIDDLE), logit_of(moved))


def layers() -> Scene:
    """Return three layers, of which the middle one keeps the others apart, predicted with a breach in it.

    It is for losses about pairs of classes, which see nothing in one object on background.
    """
    rows = torch.arange(SIDE, dtype=torch.float64)[:, None].expand(SIDE, SIDE)
    labels = (rows > 11).long() + (rows > 17).long()
    breach = disc(5, (14.5, 15.5))
    logits = SURE * F.one_hot(labels, 3).movedim(-1, 0).double()
    logits[1] = torch.where(breach > 0, 0, logits[1])
    logits[0] = torch.where((breach > 0) & (rows <= 14.5), SURE / 2, logits[0])
    logits[2] = torch.where((breach > 0) & (rows > 14.5), SURE / 2, logits[2])
    return Scene("breached layer", "the outer layers touch in a gap of the middle one", labels, logits)


def disc(radius: float, middle: tuple[float, float]) -> Tensor:
    """Return the depth of a disc around (row, column)."""
    return radius - _distance_to([middle])


def line(points: Sequence[tuple[float, float]], width: float) -> Tensor:
    """Return the depth of a line through points (row, column)."""
    ends = torch.tensor(points, dtype=torch.float64)
    dense = F.interpolate(ends.T[None], 20 * len(points), mode="linear", align_corners=True)[0].T
    return width / 2 - _distance_to(dense.tolist())


def logit_of(depth: Tensor) -> Tensor:
    """Return the logit of an object that is predicted where the depth is positive."""
    return (STEEP * depth).clamp(-SURE, SURE)


def _distance_to(points: Sequence[Sequence[float]]) -> Tensor:
    axis = torch.arange(SIDE, dtype=torch.float64)
    pixels = torch.cartesian_prod(axis, axis)
    return torch.cdist(pixels, torch.tensor(points, dtype=torch.float64)).amin(1).reshape(SIDE, SIDE)


def _scene(name: str, says: str, truth: Tensor, logit: Tensor) -> Scene:
    return Scene(name, says, (truth > 0).long(), torch.stack([-logit / 2, logit / 2]))


def _missed_lesion() -> Scene:
    large, small = disc(7, (12, 11)), disc(2.6, (24.5, 24.5))
    return _scene("missed lesion", "the small one of two is not found", torch.maximum(large, small), logit_of(large))


def _broken_vessel() -> Scene:
    trunk = line([(16 + 6 * math.sin(column / 5), column) for column in range(-1, 34, 3)], 3)
    branch = line([(17, 16), (8, 22), (2, 29)], 3)
    vessel, gap = torch.maximum(trunk, branch), disc(2.6, (20.8, 11))
    return _scene("broken vessel", "a piece of it is not found", vessel, logit_of(torch.minimum(vessel, -gap)))


def _merged_cells() -> Scene:
    cells = torch.maximum(torch.maximum(disc(6, (9, 9)), disc(6, (10.5, 22.5))), disc(5.5, (23, 15)))
    bridge = line([(9.6, 13), (9.9, 19)], 6)
    return _scene("merged cells", "two of three have grown together", cells, logit_of(torch.maximum(cells, bridge)))


def _speckle() -> Scene:
    truth = disc(8, (15.5, 15.5))
    # A fixed sequence that fills the plane evenly, instead of random numbers: single pixels, wrong by a little.
    places = [(int(SIDE * (0.755 * k % 1)), int(SIDE * (0.570 * k % 1))) for k in range(1, 25)]
    logit = logit_of(truth)
    for row, column in places:
        logit[row, column] = -1.5 if truth[row, column] > 0 else 1.5
    return _scene("speckle", "single pixels are wrong", truth, logit)
