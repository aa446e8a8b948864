"""Means over balls: those of every voxel by hand, whatever the spacing, the border and the voxels that do not count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossodyssey.kernels.balls import ball_means


def by_hand(x: Tensor, valid: Tensor, spacing: Tensor, radius: float) -> Tensor:
    """The mean over the valid voxels within `radius` times the finest spacing of each voxel, pair by pair."""
    points = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float64) for n in x.shape[2:])).reshape(-1, x.ndim - 2)
    found = torch.empty_like(x)
    for n, row in enumerate(spacing):
        wide = [step for step, size in zip(row, x.shape[2:], strict=True) if size > 1]
        near = torch.cdist(points * row, points * row) <= float(radius * min(wide)) * (1 + 1e-6)
        for c in range(x.shape[1]):
            inside = (near & valid[n, 0].flatten()).to(x.dtype)
            found[n, c] = ((inside @ x[n, c].flatten()) / inside.sum(1).clamp(min=1)).reshape(x.shape[2:])
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
@pytest.mark.parametrize(
    ("space", "spacing"),
    [
        ((7, 9), [[1.0, 1.0], [1.0, 1.0]]),
        ((6, 1, 8), [[1.0, 0.2, 2.5], [3.0, 9.0, 0.7]]),
        ((5, 6, 4), [[2.5, 1.0, 0.8], [1.0, 1.0, 1.0]]),
        ((11,), [[2.0], [0.5]]),
    ],
    ids=["plane", "flat volume", "volume", "line"],
)
def test_means_over_balls_are_those_by_hand(
    space: tuple[int, ...], spacing: list[list[float]], dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 2, *space, generator=generator, dtype=dtype)
    valid = torch.rand(2, 1, *space, generator=generator) > 0.2
    layers, steps, radii = (
        [x * valid, (x > 0.5) * valid.to(dtype)],
        torch.tensor(spacing, dtype=dtype),
        (0.5, 1, 2, 3.5, 30),
    )
    tolerance = 2e-6 if dtype == torch.float32 else 1e-12
    for radius, means in zip(radii, ball_means(layers, valid, steps, radii), strict=True):
        for layer, mean in zip(layers, means, strict=True):
            expected = by_hand(layer, valid, steps, radius)
            kept = valid.expand_as(x)
            torch.testing.assert_close(mean[kept], expected[kept], rtol=0, atol=tolerance)
