"""The focal term in float32 and in double precision, and at p = 1."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossodyssey.kernels.focal import focal

GAMMAS = [0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0]


def value_and_gradient(log_p: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    log_p = log_p.clone().requires_grad_()
    values = focal(log_p, gamma)
    values.backward(torch.linspace(-1, 2, values.numel(), dtype=values.dtype).view_as(values))
    assert log_p.grad is not None
    return values.detach(), log_p.grad


@pytest.mark.parametrize("gamma", GAMMAS)
def test_it_is_that_of_double_precision(gamma: float) -> None:
    log_p = -torch.logspace(-7, 2, 5001).float()  # nearer to p = 1 the clamps of the two precisions differ
    found, expected = value_and_gradient(log_p, gamma), value_and_gradient(log_p.double(), gamma)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_a_certain_voxel_costs_nothing_and_has_a_finite_gradient(gamma: float) -> None:
    value, gradient = value_and_gradient(torch.zeros(3), gamma)
    assert (value == 0).all() and gradient.isfinite().all()


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_what_is_no_number_stays_none(gamma: float) -> None:
    value, gradient = value_and_gradient(torch.tensor([-1.0, float("nan")]), gamma)
    assert value.isnan().tolist() == gradient.isnan().tolist() == [False, True]


def test_any_strides(gamma: float = 2.0) -> None:
    log_p = -torch.rand(4, 6, generator=torch.Generator().manual_seed(0)).t()
    assert torch.equal(focal(log_p, gamma), focal(log_p.contiguous(), gamma))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_second_derivatives(gamma: float) -> None:
    log_p = -torch.linspace(0.1, 3, 20)
    hessian = torch.autograd.functional.hessian
    found = hessian(lambda x: focal(x, gamma).sum(), log_p)
    expected = hessian(lambda x: focal(x, gamma).sum(), log_p.double())
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gamma", [2.59e-5, 0.000476, 0.5, 2.0])
@pytest.mark.parametrize("log_p", [-0.0, 0.0, -1e-45, -1e-38, -1e-9])
def test_gradients_of_sure_voxels_are_finite_times_any_factor(log_p: float, gamma: float) -> None:
    given = torch.full((9,), log_p, requires_grad=True)
    (gradient,) = torch.autograd.grad(focal(given, gamma), given, torch.full((9,), 1e3))
    assert gradient.isfinite().all() and bool((gradient.abs() <= 1e3).all())
