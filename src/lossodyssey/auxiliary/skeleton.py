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
    take 2). Thinning counts voxels, whatever the spacing. Class 0 of labels is background and has no line.
    """

    per_class: bool = False
    tube: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tube < 0:
            raise ValueError(f"HardSkeleton.tube is {self.tube}, expected a whole number of at least 0")

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the lines of each class."""
        masks = objects_of(truth, classes)
        own = self.per_class or truth.dtype == torch.bool
        bodies = masks if own else masks.any(1, keepdim=True)
        lines = [_tube(_line(body), self.tube) for body in bodies.flatten(0, 1)]
        return (torch.stack(lines).reshape(bodies.shape) & masks).float().to(truth.device)


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
