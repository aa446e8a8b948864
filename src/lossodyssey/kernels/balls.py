"""Means over balls of many radii, by the fast Fourier transform: the cost does not grow with the radius."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def ball_means(
    layers: Sequence[Tensor], valid: Tensor, spacing: Tensor, radii: Sequence[float]
) -> Iterator[list[Tensor]]:
    """Return for each radius the means of the layers (N, C, *S) over the ball around each voxel.

    Radii count voxels along the axis with the finest `spacing` (N, D). A ball holds the voxels that are `valid`
    (N, 1 or C, *S) and inside the image; layers are 0 where they are not. An axis of one voxel has no extent.
    """
    shape, axes = valid.shape[2:], tuple(range(2, valid.ndim))
    padded = [n + min(math.ceil(max(radii)), n - 1) for n in shape]
    padded = [-(-n // 8) * 8 if n > 1 else 1 for n in padded]  # lengths that the transform is fast for
    squares = squared_offsets(padded, relative(spacing, shape))
    inside = tuple(slice(n) for n in shape)
    spectra = [torch.fft.rfftn(layer, s=padded, dim=axes) for layer in (valid.to(layers[0].dtype), *layers)]
    for radius in radii:
        # A ball is symmetric, so its spectrum is real; a little more than the radius, for squares that were rounded.
        ball = torch.fft.rfftn((squares <= radius**2 * (1 + 1e-5)).to(squares.dtype), dim=axes).real.clone()
        size, *sums = (torch.fft.irfftn(ball * each, s=padded, dim=axes)[(..., *inside)] for each in spectra)
        yield [total / size.detach().round().clamp(min=1) for total in sums]


def relative(spacing: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the spacing (N, D) in units of the finest along axes of more than one voxel."""
    return spacing / finest(spacing, shape)[:, None]


def finest(spacing: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the finest spacing (N,) along axes of more than one voxel."""
    wide = [axis for axis, n in enumerate(shape) if n > 1] or list(range(len(shape)))
    return spacing[:, wide].amin(1)


def squared_offsets(shape: Sequence[int], steps: Tensor) -> Tensor:
    """Return the squared distance (N, 1, *shape) of each voxel to the first one of a grid that closes on itself."""
    total = steps.new_zeros(len(steps), 1, *shape)
    for axis, n in enumerate(shape):
        k = torch.arange(n, device=steps.device)
        offset = torch.minimum(k, n - k) * steps[:, axis, None]
        total = total + (offset**2).reshape(len(steps), 1, *(n if other == axis else 1 for other in range(len(shape))))
    return total
