"""The exact Euclidean distance transform of batches, on the device of the input.

Distances are float32; they are float64 where that is torch's default dtype, for checks in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.distance import cpu, separable
from lossodyssey.kernels import has_triton


def euclidean(masks: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Return the distance of every True voxel of the masks (B, *S) to the nearest False voxel of its mask.

    Float32 (B, *S) in the units of `spacing` (voxels by default); 0 at False voxels and in a mask without any.
    """
    distances: Tensor = nearest_other(masks.view(torch.uint8), _steps(spacing, masks))
    return distances


def inside(labels: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Return the distance of every voxel of the label maps (B, *S) to the nearest voxel of another label.

    Float32 (B, *S) in the units of `spacing` (voxels by default); 0 in a map of one label only. For masks this is
    the sum of the transforms of the mask and of its complement, in the time of one.
    """
    if labels.dtype == torch.bool:
        positive = labels.view(torch.uint8) + 1
    else:
        # The transform takes label 0 for the outside of all objects, so labels are made to begin at 1.
        positive = labels.long() - (labels.amin() if labels.numel() else 0) + 1
    distances: Tensor = nearest_other(positive, _steps(spacing, labels))
    return distances


def _steps(spacing: Sequence[float] | None, batch: Tensor) -> list[float]:
    return [1.0] * (batch.ndim - 1) if spacing is None else [float(step) for step in spacing]


def precision() -> torch.dtype:
    """Return the dtype of distances."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


@torch.library.custom_op("lossodyssey::nearest_other", mutates_args=())
def nearest_other(labels: Tensor, spacing: Sequence[float]) -> Tensor:
    """Return the distance of every voxel to the nearest voxel of another label, 0 at label 0 or without any other.

    One opaque operator, so that compiled graphs hold it whole.
    """
    if labels.is_cuda and has_triton():
        from lossodyssey.distance import fused

        return fused.nearest_other(labels, tuple(spacing))
    if labels.device.type != "cpu":
        return separable.nearest_other(labels, tuple(spacing))
    return cpu.nearest_other(labels, tuple(spacing), wide=precision() == torch.float64)


@nearest_other.register_fake
def _(labels: Tensor, spacing: Sequence[float]) -> Tensor:
    return torch.empty(labels.shape, dtype=precision(), device=labels.device)
