"""Distance fields of every class of a label map, or of every channel of boolean masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.distance.transform import euclidean, inside

Zero = Literal["inner", "voxel-shift", "none"]
"""Where a signed distance is 0: on the object's edge voxels, there by subtracting one voxel, or nowhere."""


def two_sided(truth: Tensor, classes: int | None = None, spacing: Sequence[float] | None = None) -> Tensor:
    """Return the distance of every voxel to the other side of each class's boundary: EDT(G) + EDT(not G).

    `truth`: integer labels (N, *S) with the number of `classes`, or boolean masks (N, C, *S). Float32 (N, C, *S) in
    the units of `spacing`; 0 for a class that is absent from a sample or fills it.
    """
    masks = masks_of(truth, classes)
    return inside(masks.flatten(0, 1), spacing).reshape(masks.shape)


def signed(
    truth: Tensor, classes: int | None = None, spacing: Sequence[float] | None = None, zero: Zero = "inner"
) -> Tensor:
    """Return the signed distance of every voxel to the boundary of each class, negative inside.

    `truth` as for `two_sided`. Float32 (N, C, *S) in the units of `spacing`; 0 for a class that is absent from a
    sample or fills it. The image's border is not a boundary.

    `zero` is the convention: "inner" measures from the object's voxels that have a face neighbour outside;
    "voxel-shift" is EDT(not G) outside and -(EDT(G) - 1) inside, with the smallest spacing for 1 (Kervadec 2019);
    "none" is EDT(not G) - EDT(G), which jumps over 0.
    """
    masks = masks_of(truth, classes)
    return _signed(masks.flatten(0, 1), spacing, zero).reshape(masks.shape)


def edges(masks: Tensor) -> Tensor:
    """Return the True voxels of the masks (B, *S) that have a False voxel across a face."""
    ones = masks.view(torch.uint8)  # the C++ that torch.compile writes for slices of booleans is not valid
    core = ones.clone()
    for axis in range(1, masks.ndim):
        length = masks.shape[axis] - 1
        core.narrow(axis, 0, length).bitwise_and_(ones.narrow(axis, 1, length))
        core.narrow(axis, 1, length).bitwise_and_(ones.narrow(axis, 0, length))
    return (ones ^ core).view(torch.bool)


def masks_of(truth: Tensor, classes: int | None) -> Tensor:
    """Return boolean masks (N, C, *S) of the classes of labels (N, *S); masks as they are."""
    if truth.dtype == torch.bool:
        return truth
    assert classes is not None, "integer labels need the number of classes"
    channels = torch.arange(classes, device=truth.device)
    return truth[:, None] == channels.reshape(-1, *[1] * (truth.ndim - 1))


def _signed(masks: Tensor, spacing: Sequence[float] | None, zero: Zero) -> Tensor:
    distances = euclidean(~edges(masks), spacing) if zero == "inner" else inside(masks, spacing)
    for distance, mask in zip(distances, masks, strict=True):  # one by one: each needs a copy of the mask as numbers
        if zero == "voxel-shift":
            distance.sub_(mask * (1.0 if spacing is None else min(spacing))).clamp_(min=0)
        distance.mul_(1 - 2 * mask.to(torch.int8))
    return distances
