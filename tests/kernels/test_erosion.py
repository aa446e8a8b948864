"""Soft erosions against the form that can be traced, and their gradients."""

from __future__ import annotations

import pytest
import torch

from lossodyssey.kernels.erosion import eroded, mean_of_cross, padded_mean_of_cross


@pytest.mark.parametrize("shape", [(2, 1, 9), (1, 2, 8, 7), (2, 2, 5, 6, 7), (1, 1, 1, 1), (1, 1, 5, 1, 4)])
def test_the_mean_of_the_cross_is_that_of_padded_neighbours(shape: tuple[int, ...]) -> None:
    layer = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = layer.clone()
    torch.testing.assert_close(mean_of_cross(layer), padded_mean_of_cross(layer), rtol=0, atol=1e-15)
    assert torch.equal(layer, before)


def test_gradients_are_those_of_differences_and_have_gradients() -> None:
    layer = torch.rand(1, 2, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(eroded, layer)
    assert torch.autograd.gradgradcheck(eroded, layer)
    slope = torch.func.grad(lambda x: eroded(x).sum())(layer.detach())
    torch.testing.assert_close(slope, torch.autograd.grad(eroded(layer).sum(), layer)[0])
