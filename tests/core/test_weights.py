"""How much a voxel, a channel and a class count: weights that are 0 take their part out of every sum and selection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels
from lossodyssey.core.loss import written_out

CHANNELS, SPACE = 3, (6, 5)
LOSSES = [f"{card.name}()" for card in lo.atlas() if card.category not in ("custom", "as_released")]
VARIANTS = ["Lovasz(batch=False, classes='all')", "Dice(batch=True, absent='skip')", "TopK(percent=100)"]
WHOLE_IMAGE = ("Centerline", "Erosion", "HausdorffDT")  # what is taken out of an image changes its neighbours


@pytest.fixture(params=LOSSES + VARIANTS)
def loss(request: pytest.FixtureRequest) -> lo.Loss:
    return lo.parse(request.param)


@pytest.fixture(params=["plain", "chunked", "compiled"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with kernels.forced(request.param):
        yield request.param


def batch(samples: int = 2, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(samples, CHANNELS, *SPACE, generator=generator, dtype=torch.float64).to(dtype)
    return logits, torch.rand(logits.shape, generator=generator) > 0.5


def outcome(loss: lo.Loss, logits: Tensor, target: Tensor, **context: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    if loss.needs_image:
        image = torch.arange(logits[0, 0].numel()).sin().reshape(1, *logits.shape[2:])
        context["image"] = image.expand(len(logits), *logits.shape[2:])
    value = loss(leaf, target, **context)
    (slope,) = torch.autograd.grad(value, leaf)
    return value.detach(), slope


def assert_same(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


def test_a_channel_that_is_not_annotated_is_as_if_it_were_not_there(loss: lo.Loss, backend: str) -> None:
    logits, regions = batch()
    kept = [0, 2]
    annotated = torch.tensor([True, False, True])[:, None, None]
    value, slope = outcome(loss, logits, regions, link="sigmoid", weight=annotated.expand(2, 3, 1, 1))
    expected = outcome(loss, logits[:, kept], regions[:, kept], link="sigmoid")
    assert_same((value, slope[:, kept]), expected)
    assert not slope[:, 1].any()
    whole = outcome(loss, logits, regions, link="sigmoid", weight=annotated.expand(2, 3, *SPACE).float())
    assert_same((value, slope), whole)


def test_a_channel_annotated_in_one_sample_counts_there_alone(loss: lo.Loss, backend: str) -> None:
    logits, regions = batch()
    weight = torch.ones(2, 3, 1, 1)
    weight[0, 1] = 0
    value, slope = outcome(loss, logits, regions, link="sigmoid", weight=weight)
    assert value.isfinite() and not slope[0, 1].any()
    assert slope.any() or loss.fewest_classes > 2  # all regions touch in their truth, and may in the prediction
    changed = logits.clone()
    changed[0, 1] = -changed[0, 1] - 3
    assert_same(outcome(loss, changed, regions ^ (weight == 0), link="sigmoid", weight=weight), (value, slope))


def test_voxels_taken_out_of_one_channel(loss: lo.Loss, backend: str) -> None:
    if any(name in written_out(loss) for name in WHOLE_IMAGE):
        loss = lo.parse("Boundary()")
    logits, regions = batch(dtype=torch.float64)
    weight = torch.rand(logits.shape, generator=torch.Generator().manual_seed(4)) > 0.3
    maps = lo.maps_for(loss, regions, CHANNELS, link="sigmoid")
    value, slope = outcome(loss, logits, regions, link="sigmoid", weight=weight, maps=maps)
    assert not slope[~weight].any()
    hidden = torch.where(weight, logits, -2 * logits)
    assert_same(outcome(loss, hidden, regions ^ ~weight, link="sigmoid", weight=weight, maps=maps), (value, slope))
    soft = regions.double() * 0.98 + 0.01
    assert_same(
        outcome(loss, logits, soft, link="sigmoid", weight=weight[:, :1], maps=maps),
        outcome(loss, logits, soft, link="sigmoid", weight=weight[:, :1].expand(-1, 3, -1, -1), maps=maps),
    )


def test_a_sample_that_is_ignored_whole_is_as_if_it_were_not_there(loss: lo.Loss, backend: str) -> None:
    logits, regions = batch(3)
    labels = regions.long().sum(1).clamp(max=2)
    labels[1] = 255
    value, slope = outcome(loss, logits, labels, ignore=255)
    kept = [0, 2]
    assert_same((value, slope[kept]), outcome(loss, logits[kept], labels[kept]))


def test_the_reference_of_weights_per_channel() -> None:
    logits, regions = batch(dtype=torch.float64)
    weight = torch.rand(logits.shape, dtype=torch.float64)
    context: dict[str, Any] = {"link": "sigmoid", "weight": weight}
    ce = torch.nn.functional.binary_cross_entropy_with_logits(logits, regions.double(), reduction="none")
    torch.testing.assert_close(lo.CrossEntropy()(logits, regions, **context), (weight * ce).sum() / weight.sum())
    s, g = logits.sigmoid(), regions.double()
    tp, size = (weight * s * g).sum((2, 3)), (weight * (s + g)).sum((2, 3))
    torch.testing.assert_close(lo.Dice(smooth=0)(logits, regions, **context), (1 - 2 * tp / size).mean())
    kept = (ce * (weight > 0.5)).flatten().sort(descending=True).values
    half = int((weight > 0.5).sum() * 0.5)
    found = lo.TopK(percent=50)(logits, regions, link="sigmoid", weight=weight > 0.5)
    torch.testing.assert_close(found, kept[:half].mean())


@pytest.mark.parametrize("shape", [(2, 3, *SPACE), (2, 3, 1, 1)])
def test_weights_per_channel_of_exclusive_classes_are_refused(shape: tuple[int, ...], loss: lo.Loss) -> None:
    logits, regions = batch()
    with pytest.raises(ValueError, match=r'per channel.*softmax.*link="sigmoid".*class_weights'):
        loss(logits, regions.long().sum(1).clamp(max=2), weight=torch.ones(shape))


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), -1e-3])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_weights_that_are_no_weights_are_refused(bad: float, link: str) -> None:
    logits, regions = batch()
    weight = torch.ones(2, *SPACE)
    weight[1, 2, 3] = bad
    target = regions if link == "sigmoid" else regions[:, 0].long()
    for loss in (lo.Dice(), lo.Lovasz(), lo.DiceCE()):
        with pytest.raises(ValueError, match=r"weight holds values from .*expected finite numbers of 0 or more"):
            loss(logits, target, link=link, weight=weight)
    with pytest.raises(ValueError, match="weight has shape"):
        lo.Dice()(logits, regions, link="sigmoid", weight=torch.ones(2, 3))


WEIGHTS = (0.5, 1.0, 3.0)


def weighted_values(logits: Tensor, labels: Tensor) -> Tensor:
    ce = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return ce * torch.tensor(WEIGHTS, dtype=ce.dtype)[labels]


@pytest.mark.parametrize("name", ["TopK", "TopKThreshold"])
def test_class_weights_of_hard_voxels(name: str, backend: str) -> None:
    logits, regions = batch(dtype=torch.float64)
    labels = regions.long().sum(1).clamp(max=2)
    values, p = weighted_values(logits, labels), logits.softmax(1).gather(1, labels[:, None])[:, 0]
    if name == "TopK":
        loss: lo.Loss = lo.TopK(percent=30, class_weights=WEIGHTS)
        expected = values.flatten().topk(int(0.3 * labels.numel())).values.mean()
    else:
        loss = lo.TopKThreshold(threshold=0.4, class_weights=WEIGHTS)
        expected = values[p < 0.4].mean()
    torch.testing.assert_close(loss(logits, labels), expected)
    almost = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * (1 - 3e-9) + 1e-9
    torch.testing.assert_close(loss(logits, almost), expected, rtol=1e-6, atol=0)
    with pytest.raises(ValueError, match="2 numbers, but there are 3 classes"):
        loss.but(class_weights=(1, 2))(logits, labels)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", ["TopK(percent=100)", "TopKThreshold(threshold=1)"])
def test_all_voxels_weighted_are_weighted_cross_entropy(text: str, link: str, backend: str) -> None:
    logits, regions = batch(dtype=torch.float64)
    target = regions if link == "sigmoid" else regions.long().sum(1).clamp(max=2)
    loss, ce = lo.parse(text).but(class_weights=WEIGHTS), lo.CrossEntropy(class_weights=WEIGHTS)
    assert_same(outcome(loss, logits, target, link=link), outcome(ce, logits, target, link=link))
    soft = torch.rand(logits.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    soft = soft if link == "sigmoid" else soft / soft.sum(1, keepdim=True)
    if text.startswith("TopK("):
        assert_same(outcome(loss, logits, soft, link=link), outcome(ce, logits, soft, link=link))


@pytest.mark.parametrize(
    "given", [torch.tensor(WEIGHTS), np.array(WEIGHTS), list(WEIGHTS), np.array([1, 2, 6]) / 2, torch.tensor([1, 2, 6])]
)
@pytest.mark.parametrize("name", ["CrossEntropy", "Dice", "TopK", "TopKThreshold", "Focal"])
def test_class_weights_of_every_kind(name: str, given: Any) -> None:
    loss = lo.card(name)(class_weights=given)
    assert loss.class_weights == pytest.approx([float(x) for x in given])  # type: ignore[attr-defined]
    assert repr(lo.parse(repr(loss))) == repr(loss)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((-1.0, 2.0), r"class_weights\[0\] is -1.0, expected a number in \[0, inf\)"),
        (torch.tensor([1.0, float("nan")]), r"class_weights\[1\] is nan, expected a finite number"),
        (np.array([[1.0, 2.0]]), r"class_weights\[0\] is \[1.0, 2.0\], expected number"),
        (torch.tensor(2.0), "class_weights is 2.0, expected a tuple of numbers"),
        (2, "class_weights is 2, expected a tuple of numbers"),
    ],
)
@pytest.mark.parametrize("name", ["CrossEntropy", "Dice", "TopK"])
def test_class_weights_that_are_none_are_refused(name: str, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.card(name)(class_weights=given)


def test_numbers_of_numpy_and_torch_are_hyper_parameters() -> None:
    assert repr(lo.Focal(gamma=np.float32(3))) == repr(lo.Focal(gamma=torch.tensor(3.0))) == "Focal(gamma=3.0)"  # type: ignore[arg-type]
    assert repr(lo.HausdorffErosion(erosions=np.int64(3))) == "HausdorffErosion(erosions=3)"  # type: ignore[arg-type]


def test_weights_follow_the_scales() -> None:
    logits, regions = batch()
    small = logits[..., ::2, :]
    weight = torch.tensor([[1.0, 0, 1], [1, 1, 1]])[..., None, None]
    criterion = lo.Criterion("Dice()", link="sigmoid")
    found = criterion([logits, small], [regions, regions[..., ::2, :]], weight=weight)
    parts = (
        lo.Dice()(z, y, link="sigmoid", weight=weight) for z, y in ((logits, regions), (small, regions[..., ::2, :]))
    )
    torch.testing.assert_close(found, sum(part * share for part, share in zip(parts, (2 / 3, 1 / 3), strict=True)))
