"""What stands in a voxel that does not count reaches nothing: as released, in channels, under views and transforms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels

CLASSES, SPACE = 3, (7, 8)
OTHERS = (5.0, -80.0, math.nan, math.inf, -math.inf)
RELEASED = [f"{card.name}()" for card in lo.atlas() if card.category == "as_released"]
VIEWS = [
    "Marginal(hidden=(1,))",
    "Marginal(hidden=(1,), loss=CrossEntropy())",
    "Blobs(loss=CrossEntropy())",
    "TopK(percent=100, class_weights=(0.5, 1, 2))",
    "TopKThreshold(class_weights=(0.5, 1, 2))",
    "HausdorffDT(prediction='threshold')",
    "HausdorffDT(square=False, log=True)",
    "HausdorffErosion(renormalize=True)",
    "DiceHausdorff()",
    "Lovasz(batch=False)",
]


@pytest.fixture(params=["plain", "chunked", "compiled"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with kernels.forced(request.param):
        yield request.param


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels with every class, and which voxels count."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, CLASSES, *SPACE, generator=generator)
    labels = torch.zeros(2, *SPACE, dtype=torch.long)
    labels[:, 1:4, 1:5], labels[:, 4:6, 4:7] = 1, 2
    return logits, labels, torch.rand(2, *SPACE, generator=generator) > 0.3


def outcome(loss: lo.Loss, logits: Tensor, target: Tensor, **context: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, target, **context)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def assert_unchanged(loss: lo.Loss, logits: Tensor, kept: Tensor, target: Tensor, **context: Any) -> None:
    """The loss with anything in the logits that are not `kept` is the loss as it was, to the last bit."""
    expected = outcome(loss, logits, target, **context)
    kept = kept.expand_as(logits)
    assert not expected[1][~kept].nan_to_num().any()
    for other in OTHERS:
        found = outcome(loss, logits.masked_fill(~kept, other), target, **context)
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("text", RELEASED + VIEWS)
def test_labels_with_ignored_voxels(text: str, backend: str) -> None:
    logits, labels, kept = batch()
    assert_unchanged(lo.parse(text), logits, kept[:, None], torch.where(kept, labels, 255), ignore=255)
    assert_unchanged(lo.parse(text), logits, kept[:, None], labels, weight=kept)


@pytest.mark.parametrize("text", [*RELEASED, "Dice()", "Focal()", "Lovasz()", "TopK()", "HausdorffDT()", "Boundary()"])
def test_regions_with_weights_per_channel(text: str, backend: str) -> None:
    logits, labels, _ = batch()
    regions = torch.stack([labels >= 0, labels >= 1, labels == 2], 1)
    kept = torch.rand(regions.shape, generator=torch.Generator().manual_seed(3)) > 0.3
    assert_unchanged(lo.parse(text), logits, kept, regions, link="sigmoid", weight=kept)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    "text", ["DiceCE()", "Dice(square=True)", "TopK(class_weights=(0.5, 1, 2))", "Lovasz()", "HausdorffDT()"]
)
def test_soft_truths_with_weights(text: str, link: str) -> None:
    logits, _, kept = batch()
    soft = torch.randn(logits.shape, generator=torch.Generator().manual_seed(4)).softmax(1)
    assert_unchanged(lo.parse(text), logits, kept[:, None], soft, link=link, weight=kept)


@pytest.mark.parametrize(
    "text", ["DiceCE()", "Focal()", "ExponentialCE()", "Tversky()", "Lovasz()", "TopK()", "Boundary()", "HausdorffDT()"]
)
def test_under_compilation_and_transforms(text: str) -> None:
    torch.compiler.reset()
    logits, labels, kept = batch()
    loss, target = lo.parse(text), torch.where(kept, labels, 255)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    expected = outcome(loss, logits, target, ignore=255)
    for other in (math.nan, math.inf):
        changed = logits.masked_fill(~kept[:, None], other)
        torch.testing.assert_close(outcome(compiled, changed, target, ignore=255), expected, rtol=1e-5, atol=1e-6)
        slope = torch.func.grad(lambda z: loss(z, target, ignore=255))(changed)
        torch.testing.assert_close(slope, expected[1], rtol=1e-5, atol=1e-6)
