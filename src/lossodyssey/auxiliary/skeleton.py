"""The centre lines of the truth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.components import objects_of
from lossodyssey.auxiliary.thinning import skeleton


class HardSkeleton(Auxiliary, name="skeleton"):
    """Centre lines (N, C, *S) of each class, 0 or 1: the skeleton, widened to a tube, within the class.

    The skeleton is that of all foreground, or `per_class`, where classes that touch have lines of their own; masks
    always have their own. `tube`: how often it is dilated with the cross of 3 along each axis (Kirchhoff et al. 2024
    take 2). Thinning counts voxels, whatever the spacing. Class 0 of labels is background and has no line. `merged`
    keeps the lines of all foreground in one channel, (N, 1, *S), as they are before they are cut to the classes.
    """

    per_class: bool = False
    tube: int = 0
    merged: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tube < 0:
            raise ValueError(f"HardSkeleton.tube is {self.tube}, expected a whole number of at least 0")
        if self.merged and self.per_class:
            raise ValueError("HardSkeleton.merged and per_class are both True, expected one of them at most")

    def channels(self, truth: Tensor, classes: int) -> int:
        """Return 1 for labels whose lines are merged."""
        return 1 if self.merged and truth.dtype != torch.bool else super().channels(truth, classes)

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the lines of each class."""
        bodies = objects_of(truth, classes) if self.per_class else foreground(truth.cpu(), classes)
        lines = [_tube(_line(body), self.tube) for body in bodies.flatten(0, 1)]
        within = bodies if self.merged else objects_of(truth, classes)
        return (torch.stack(lines).reshape(bodies.shape) & within).float().to(truth.device)


def foreground(truth: Tensor, classes: int) -> Tensor:
    """Return the mask (N, 1, *S) of all classes of labels but class 0, or the masks (N, C, *S) as they are."""
    return truth if truth.dtype == torch.bool else ((truth > 0) & (truth < classes))[:, None]


def _line(body: Tensor) -> Tensor:
    """Return the skeleton of a body (*S): of a plane where the volume is flat, which is thinned by other rules."""
    flat = body.squeeze()
    while flat.ndim < 2:
        flat = flat[None]
    return skeleton(flat).reshape(body.shape)


def _tube(line: Tensor, times: int) -> Tensor:
    """Return the line with all voxels that lie at most `times` steps across faces away."""
    for _ in range(times):
        before, line = line, line.clone()
        for axis, n in enumerate(line.shape):
            line.narrow(axis, 0, n - 1).logical_or_(before.narrow(axis, 1, n - 1))
            line.narrow(axis, 1, n - 1).logical_or_(before.narrow(axis, 0, n - 1))
    return line
