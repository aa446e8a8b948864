"""The centre lines of the truth by repeated opening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.distance.fields import masks_of
from lossodyssey.kernels.skeleton import MOST, openings, soft_skeleton


class SoftSkeleton(Auxiliary, name="soft_skeleton"):
    """Centre lines (N, C, *S) of each class, 0 or 1, by 1 + `iterations` openings (Shit et al. 2021).

    "auto" makes as many iterations as the widest object of the batch needs, at most 50: an object that vanishes earlier
    keeps its lines. Class 0 of labels is background and has none.
    """

    iterations: int | Literal["auto"] = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations != "auto" and self.iterations < 0:
            raise ValueError(
                f"SoftSkeleton.iterations is {self.iterations}, expected a whole number of at least 0, or 'auto'"
            )

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make the lines of each class."""
        first = 0 if truth.dtype == torch.bool else 1
        masks = masks_of(truth, classes)
        objects = masks[:, first:].flatten(0, 1)
        times = openings(objects, MOST) if self.iterations == "auto" else self.iterations
        lines = torch.zeros_like(masks, dtype=torch.float32)
        # One byte per voxel: the skeleton of a mask of zeros and ones holds zeros and ones only.
        lines[:, first:] = soft_skeleton(objects.to(torch.int8), times).reshape(lines[:, first:].shape)
        return lines
