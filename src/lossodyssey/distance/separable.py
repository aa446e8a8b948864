"""The exact Euclidean distance transform in plain PyTorch, one axis after another, for any device.

Along each axis a voxel takes the least of its squared distances so far and, over all voxels of its line, the squared
step to a voxel of another label, or to one of its own label plus the squared distance of that one so far (Felzenszwalb
and Huttenlocher 2012, with labels instead of one mask).
"""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_other(labels: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Return distances (B, *S) of `labels` (B, *S) to the nearest other label, 0 at label 0 or without any other."""
    squared = torch.where(labels == 0, 0.0, torch.full(labels.shape, torch.inf, device=labels.device))
    for axis, step in enumerate(spacing, start=1):
        squared = _along(squared, labels, axis, step)
    return squared.where(squared < torch.inf, 0).sqrt()


def _along(squared: Tensor, labels: Tensor, axis: int, step: float) -> Tensor:
    best, length = squared.clone(), labels.shape[axis]
    for shift in range(1, length):
        price = (shift * step) ** 2
        # No voxel at this step or beyond can be nearer than the best so far.
        if not bool((best > price).any()):
            break
        for here, there in ((slice(shift, None), slice(-shift)), (slice(-shift), slice(shift, None))):
            _relax(best, squared, labels, price, _cut(axis, here), _cut(axis, there))
    return best


def _cut(axis: int, where: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (where,)


def _relax(
    best: Tensor, squared: Tensor, labels: Tensor, price: float, here: tuple[slice, ...], there: tuple[slice, ...]
) -> None:
    through = torch.where(labels[there] == labels[here], squared[there] + price, price)
    best[here] = torch.where(labels[here] == 0, 0, torch.minimum(best[here], through))
