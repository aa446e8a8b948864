"""The exact Euclidean distance transform as a Triton kernel, one axis after another; see `distance.separable`."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256


def nearest_other(labels: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Return distances (B, *S) of `labels` (B, *S) to the nearest other label, 0 at label 0 or without any other."""
    labels = labels.contiguous()
    squared = torch.where(labels == 0, 0.0, torch.full(labels.shape, torch.inf, device=labels.device))
    for axis, step in enumerate(spacing, start=1):
        nearer = torch.empty_like(squared)
        size, stride = labels.shape[axis], labels.stride(axis)
        grid = (triton.cdiv(labels.numel(), BLOCK),)
        if labels.numel():
            _along[grid](labels, squared, nearer, labels.numel(), size, stride, step, BLOCK=BLOCK)
            squared = nearer
    return squared.where(squared < torch.inf, 0).sqrt()


@triton.jit
def _along(labels, squared, nearer, voxels, size, stride, step, BLOCK: tl.constexpr):
    """Write the least over the voxels of a line; farther ones are looked at only while they could still be nearer."""
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    position = (voxel // stride) % size
    label = tl.load(labels + voxel, mask=inside, other=0)
    best = tl.load(squared + voxel, mask=inside, other=0.0)
    shift = 1
    price = step * step

    while (shift < size) & (tl.max(best, axis=0) > price):
        for side in tl.static_range(2):
            signed = shift * (2 * side - 1)
            there = voxel + signed * stride
            valid = inside & (position + signed >= 0) & (position + signed < size)
            same = tl.load(labels + there, mask=valid, other=0) == label
            through = tl.where(same, tl.load(squared + there, mask=valid, other=0.0) + price, price)
            best = tl.where(valid & (label != 0), tl.minimum(best, through), best)
        shift += 1
        price = shift * step * shift * step

    tl.store(nearer + voxel, best, mask=inside)
