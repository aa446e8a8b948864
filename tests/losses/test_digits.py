"""Differences of sums and logarithms near 1 keep their digits in float32, on every back end, against float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels

BACK_ENDS = pytest.mark.parametrize("backend", ["plain", "chunked", "compiled"])


def outcome(backend: str, loss: lo.Loss, logits: Tensor, target: Tensor, **context: Any) -> tuple[float, Tensor]:
    leaf = logits.clone().requires_grad_()
    with kernels.forced(backend):
        value = loss(leaf, target, **context)
        (gradient,) = torch.autograd.grad(value, leaf)
    return value.item(), gradient.double()


def exact(loss: lo.Loss, logits: Tensor, target: Tensor, **context: Any) -> tuple[float, Tensor]:
    return outcome("plain", loss, logits.double(), target, **context)


def filled(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A cube that one class fills, predicted with errors of every size."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 2, side, side, side, generator=generator)
    return logits, torch.ones(1, side, side, side, dtype=torch.long)


# What divides by numbers of false voxels, or by differences of sums.
DIFFERENCES = ["SensitivitySpecificity()", "SensitivitySpecificity(background=True, r=0.5)", "MatthewsCorrelation()"]
DIFFERENCES += ["Dice()", "Dice(square=True)", "Tversky()", "GeneralizedDice()"]


@BACK_ENDS
@pytest.mark.parametrize("side", [52, 80])
@pytest.mark.parametrize("text", ["SensitivitySpecificity()", "MatthewsCorrelation()"])
def test_a_class_that_fills_its_sample(text: str, side: int, backend: str) -> None:
    logits, labels = filled(side)
    loss = lo.parse(text)
    value, gradient = outcome(backend, loss, logits, labels)
    wanted, slope = exact(loss, logits, labels)
    assert value == pytest.approx(wanted, rel=1e-4)
    assert (gradient - slope).abs().max() <= 1e-3 * slope.abs().max()


def test_the_value_of_a_filled_class_is_that_of_its_formula() -> None:
    logits, labels = filled(16)
    s = logits.double().softmax(1)[:, 1]
    wanted = 0.05 * float(((1 - s) ** 2).sum() / (s.numel() + 1e-5))
    assert exact(lo.SensitivitySpecificity(), logits, labels)[0] == pytest.approx(wanted)


@BACK_ENDS
@pytest.mark.parametrize("weighting", ["none", "fractions", "channels", "ignored"])
@pytest.mark.parametrize("text", DIFFERENCES)
def test_differences_of_sums_with_weights(text: str, weighting: str, backend: str) -> None:
    """Fractional weights do not add up to whole numbers: what is left of n - g is rounding, for the filled class."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 40, 41, generator=generator)
    labels = torch.stack([torch.ones(40, 41).long(), torch.randint(0, 3, (40, 41), generator=generator)])
    context: dict[str, Any] = {}
    target = labels
    if weighting == "fractions":
        context["weight"] = torch.rand(2, 40, 41, generator=generator)
    if weighting == "ignored":
        target = torch.where(torch.rand(labels.shape, generator=generator) > 0.7, 255, labels)
        context["ignore"] = 255
    if weighting == "channels":
        target = torch.stack([labels >= 0, labels >= 1, labels == 2], 1)
        context = {"link": "sigmoid", "weight": torch.rand(2, 3, 40, 41, generator=generator)}
    value, gradient = outcome(backend, lo.parse(text), logits, target, **context)
    wanted, slope = exact(lo.parse(text), logits, target, **context)
    assert value == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert (gradient - slope).abs().max() <= 1e-3 * slope.abs().max() + 1e-12


@BACK_ENDS
@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("margin", [12.0, 16.0, 24.0])
@pytest.mark.parametrize("text", ["ExponentialCE()", "CrossEntropy()", "Focal()", "TopK(percent=100)"])
def test_confident_voxels_keep_the_digits_of_their_gradient(
    text: str, margin: float, classes: int, backend: str
) -> None:
    labels = (torch.arange(24) % max(classes, 2)).reshape(1, 4, 6)
    right = torch.nn.functional.one_hot(labels, max(classes, 2)).movedim(-1, 1).float()
    logits = margin * (2 * right[:, 1:] - 1) if classes == 1 else margin * right
    logits = logits + 0.5 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    value, gradient = outcome(backend, lo.parse(text), logits, labels)
    wanted, slope = exact(lo.parse(text), logits, labels)
    assert value == pytest.approx(wanted, rel=1e-4, abs=1e-30)
    assert (gradient - slope).abs().max() <= 1e-4 * slope.abs().max()


@BACK_ENDS
@pytest.mark.parametrize("scale", [1e4, 1e9, 1e20, 1e30])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", ["Dice()", "Dice(square=True)", "CrossEntropy()", "Boundary()", "DiceCE()", "TopK()"])
def test_huge_logits_are_finite_and_alike(text: str, link: str, scale: float, backend: str) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = scale * torch.randn(2, 3, 9, 11, generator=generator)
    labels = torch.randint(0, 3, (2, 9, 11), generator=generator)
    target = labels if link == "softmax" else torch.stack([labels >= 0, labels >= 1, labels == 2], 1)
    value, gradient = outcome(backend, lo.parse(text), logits, target, link=link)
    wanted, slope = exact(lo.parse(text), logits, target, link=link)
    assert math.isfinite(value) and gradient.isfinite().all()
    assert value == pytest.approx(wanted, rel=1e-5, abs=1e-7)
    torch.testing.assert_close(gradient, slope, rtol=1e-4, atol=1e-7)
