"""What `fuzz.py` found, each with a second input of its kind."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels


def answer(loss: lo.Loss, logits: Tensor, target: Tensor, backend: str, **given: object) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    with kernels.forced(backend):
        value = loss(leaf, target, **given)  # type: ignore[arg-type]
        value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("backend", ["plain", "chunked", "compiled"])
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "text",
    [
        "Marginal(loss=Perimeter(), hidden=(2,))",
        "Marginal(hidden=(1, 2))",
        "Blobs(loss=SensitivitySpecificity())",
        "Blobs(loss=DiceCE(), connectivity='faces')",
    ],
)
def test_merged_classes_take_nothing_from_voxels_that_do_not_count(text: str, poison: float, backend: str) -> None:
    logits, labels = noise(2, 4, 5, 6), torch.arange(60).reshape(2, 5, 6) % 4
    labels[:, 1:3, 2:] = 255
    left_out = (labels == 255)[:, None].expand_as(logits)
    value, gradient = answer(lo.parse(text), logits.masked_fill(left_out, poison), labels, backend, ignore=255)
    expected = answer(lo.parse(text), logits, labels, backend, ignore=255)
    assert torch.equal(value, expected[0]) and torch.equal(gradient, expected[1])
    assert value.isfinite() and not gradient[left_out].any()


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("Ramp(1.46, 0.46) * AsymmetricFocalTversky()", (0, 1.46)),
        ("Ramp(0, 3) * Dice() + Dice()", (0, 4)),
        ("Cosine(-1, 2) * Dice()", (-1, 2)),
        ("Step(0.25, 0.5) * CrossEntropy()", (0, math.inf)),
        ("DiceHausdorff()", (0, math.inf)),
        ("Ratio() * Dice() + Boundary()", (-math.inf, math.inf)),
    ],
)
def test_bounds_of_a_sum_hold_for_every_weight_of_its_schedules(text: str, bounds: tuple[float, float]) -> None:
    assert lo.parse(text).bounds() == bounds


@pytest.mark.parametrize("text", ["SkeletonRecall()", "SkeletonRecall(per_class=True, tube=0, batch=True)"])
def test_recall_of_soft_centre_lines_is_never_negative(text: str) -> None:
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[:, 4, 1:8] = 1
    hard = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).float()
    soft, loss = 0.6 * hard + 0.2, lo.parse(text)
    assert float(loss(20 * hard, soft)) == 0 == float(loss(soft.log(), soft))
    assert 0.9 < float(loss(20 * (1 - hard), soft)) <= 1


@pytest.mark.parametrize("backend", ["plain", "chunked", "compiled"])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("margin", [200.0, 1e4])
def test_a_threshold_of_1_keeps_the_voxels_whose_p_is_rounded_to_1(margin: float, link: str, backend: str) -> None:
    logits, labels = margin * noise(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3
    found = answer(lo.TopKThreshold(threshold=1.0), logits, labels, backend, link=link)
    expected = answer(lo.CrossEntropy(), logits, labels, backend, link=link)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])
