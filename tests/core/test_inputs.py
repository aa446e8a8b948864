"""Whatever users hand over for a tensor is taken by every loss, on whole tensors and in chunks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels
from lossodyssey.core.target import read

CLASSES, SPACE = 3, (5, 6, 4)
LOSSES = [card.name for card in lo.atlas() if card.category != "custom" and not card.needs_image]
CALLS = ["plain", "compiled"]


class Subclass(Tensor):
    """As MONAI's MetaTensor: results of PyTorch's functions keep the class."""


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> lo.Loss:
    return lo.card(request.param)()


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Tensor]]:
    """Calls a loss on this back end and gives value and gradient in one tensor."""

    def call(loss: lo.Loss, logits: Any, target: Any, **context: Any) -> Tensor:
        leaf = logits.clone().requires_grad_() if isinstance(logits, Tensor) else logits
        value = loss(leaf, target, **context)
        assert type(value) is Tensor and value.shape == ()
        if not isinstance(leaf, Tensor):
            return value.detach()[None]
        (slope,) = torch.autograd.grad(value, leaf)
        return torch.cat([value.detach()[None], slope.flatten()]).as_subclass(Tensor)

    with kernels.forced(request.param):
        yield call


def batch(samples: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(samples, CLASSES, *SPACE, generator=generator)
    return logits, torch.randint(0, CLASSES, (samples, *SPACE), generator=generator)


def one_hot(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1)


def assert_same(found: Tensor, expected: Tensor, *given: object) -> None:
    torch.testing.assert_close(
        found, expected[: len(found)], rtol=1e-5, atol=1e-6, equal_nan=True, msg=lambda text: f"{given}: {text}"
    )


def readonly(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def test_labels_of_every_kind(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    logits, labels = batch()
    expected = call(loss, logits, labels)
    for dtype in (torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.float16, torch.bfloat16):
        assert_same(call(loss, logits, labels.to(dtype)), expected)
        assert_same(call(loss, logits, labels[:, None].to(dtype)), expected)
    assert_same(call(loss, logits, one_hot(labels).to(torch.uint16)), expected)
    array = labels.numpy()
    kinds = [array, array.astype(">i2"), array[:, ::-1].copy()[:, ::-1], readonly(array.astype("u2")), array.tolist()]
    for target in (*kinds, labels.as_subclass(Subclass)):
        assert_same(call(loss, logits, target), expected)


def test_logits_weights_and_spacings_of_every_kind(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    logits, labels = batch()
    weight, spacing = torch.rand(2, *SPACE).round(decimals=1), (1.0, 2.0, 3.0)
    expected = call(loss, logits, labels, weight=weight, spacing=spacing)
    for given in (logits.as_subclass(Subclass), logits.numpy()):
        assert_same(call(loss, given, labels, weight=weight, spacing=spacing), expected)
    for other in (weight.numpy(), weight.as_subclass(Subclass), weight.double()):
        assert_same(call(loss, logits, labels, weight=other, spacing=torch.tensor(spacing)), expected)
    assert_same(call(loss, logits, labels, weight=weight, spacing=np.array(spacing)), expected)
    counts = torch.randint(0, 4, (2, *SPACE))
    whole = call(loss, logits, labels, weight=counts.float())
    assert_same(call(loss, logits, labels, weight=counts.to(torch.uint16)), whole)


STORED = [
    (255, torch.uint8, -1),
    (-1, torch.int8, 255),
    (65535, torch.uint16, -1),
    (-1, torch.uint64, -1),
    (255, torch.uint8, np.int64(255)),
    (255, torch.float32, 255.0),
]
"""The mark of ignored voxels, the type it is stored in, and the label that is said to be ignored."""


def test_the_ignore_label_is_found_however_it_is_stored(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    logits, labels = batch()
    out = torch.arange(SPACE[1])[:, None] % 2 == 0
    expected = call(loss, logits, torch.where(out, 7, labels), ignore=7)
    for mark, dtype, ignore in STORED:
        found = call(loss, logits, torch.where(out, mark, labels).to(dtype), ignore=ignore)
        assert_same(found, expected, mark, dtype, ignore)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int64, torch.float16, torch.float32])
def test_hard_regions_are_kept_as_truths_whatever_their_dtype(dtype: torch.dtype) -> None:
    logits, labels = batch()
    given = (one_hot(labels) > 0).to(dtype)
    truth = read(logits, given, sigmoid=True, ignore=(), weight=None)
    assert truth.regions is not None and truth.regions.dtype == torch.bool and not truth.soft
    assert torch.equal(truth.regions, given.bool().flatten(2))


@pytest.mark.parametrize("classes", [2, 3, 256, 257, 300])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_one_hot_labels_are_read_as_labels(classes: int, dtype: torch.dtype) -> None:
    labels = torch.arange(600).reshape(2, 300) % classes
    given = torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).to(dtype)
    truth = read(torch.zeros(2, classes, 300), given, sigmoid=False, ignore=(), weight=None)
    assert truth.labels is not None and torch.equal(truth.labels.long(), labels)


@pytest.mark.parametrize("value", [0.5, 1 - 2**-11, 2**-24])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_single_value_between_makes_a_truth_soft(dtype: torch.dtype, value: float) -> None:
    logits, labels = batch()
    given = one_hot(labels).to(dtype)
    given[0, 0, 0, 0] = value
    truth = read(logits, given, sigmoid=True, ignore=(), weight=None)
    assert truth.soft and torch.equal(truth.regions, given.flatten(2))


def test_several_labels_may_be_ignored(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    logits, labels = batch()
    first, second = torch.arange(SPACE[1])[:, None] == 0, torch.arange(SPACE[1])[:, None] == 2
    expected = call(loss, logits, torch.where(first | second, 7, labels), ignore=7)
    marked = torch.where(first, 254, torch.where(second, 255, labels)).to(torch.uint8)
    for ignore in ([254, 255], (255, 254), {254, -1}, np.array([254, 255]), range(200, 256)):
        assert_same(call(loss, logits, marked, ignore=ignore), expected, ignore)


def test_a_class_and_a_mark_may_be_ignored_together(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    logits, labels = batch()
    marked = torch.where(torch.arange(SPACE[1])[:, None] == 0, 255, labels)
    expected = call(loss, logits, torch.where(marked == 1, 255, marked), ignore=255)
    for ignore in ([1, 255], [255, 1]):
        assert_same(call(loss, logits, marked, ignore=ignore), expected)


def test_soft_labels_of_every_width(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    logits, labels = batch()
    soft = 0.9 * one_hot(labels).double() + 0.1 / CLASSES
    expected = call(loss, logits, soft.float())
    assert_same(call(loss, logits, soft), expected)
    assert_same(call(loss, logits, soft.numpy()), expected)


def test_nothing_costs_nothing(loss: lo.Loss, call: Callable[..., Tensor]) -> None:
    nothing_kept = float("nan") if isinstance(loss, lo.ReleasedTopKThreshold) else 0.0
    for shape in ((0, CLASSES, *SPACE), (2, CLASSES, 0, 6, 4), (0, CLASSES, 0)):
        labels = torch.zeros(shape[0], *shape[2:], dtype=torch.long)
        for link in ("softmax", "sigmoid"):
            found = call(loss, torch.zeros(shape), labels, link=link)
            assert_same(found, torch.tensor([nothing_kept]), shape, link)


def test_an_empty_batch_is_taken_by_the_criterion() -> None:
    logits = [torch.zeros(0, 2, 8, 8, requires_grad=True), torch.zeros(0, 2, 4, 4)]
    value = lo.Criterion("DiceCE()", ignore=255)(logits, torch.zeros(0, 8, 8, dtype=torch.uint8))
    value.backward()
    assert value == 0 and logits[0].grad is not None


def test_outputs_in_dictionaries() -> None:
    logits, labels = batch()
    loss, criterion = lo.DiceCE(), lo.Criterion("DiceCE()")
    alone, other = loss(logits, labels), loss(-logits, labels)
    for one in ({"out": logits}, {"seg": logits}, {"logits": logits, "aux": None}, [logits], {"out": {"out": logits}}):
        assert torch.equal(loss(one, labels), alone) and torch.equal(criterion(one, labels), alone)
    for two in ({"aux": -logits, "out": logits}, {"logits": logits, "aux_head": -logits}, {"out": [logits, -logits]}):
        torch.testing.assert_close(criterion(two, labels), (2 * alone + other) / 3)
        with pytest.raises(ValueError, match=r"2 outputs, expected one tensor.*Criterion"):
            loss(two, labels)
    three = {"out": logits, "aux": [-logits, logits[..., ::2]]}
    coarse = loss(logits[..., ::2], labels[..., 1::2])
    torch.testing.assert_close(criterion(three, labels), (4 * alone + 2 * other + coarse) / 7)


@pytest.mark.parametrize("call", [lo.Dice(), lo.Criterion("Dice()")])
@pytest.mark.parametrize("names", [("seg", "edge"), ("out", "edge"), ("out", "logits"), ()])
def test_dictionaries_that_leave_a_choice_are_refused(call: Callable[..., Tensor], names: tuple[str, ...]) -> None:
    logits, labels = batch()
    with pytest.raises(ValueError, match=r"dictionary with the entries.*give the entry that counts"):
        call(dict.fromkeys(names, logits), labels)


@pytest.mark.parametrize("card", ["Dice", "CrossEntropy", "Lovasz", "TopK", "Boundary"])
def test_large_and_small_images_are_read_alike(card: str) -> None:
    for size in (8, 200):  # below and above the size that is computed in chunks
        labels = torch.randint(0, 2, (1, size, size), generator=torch.Generator().manual_seed(1))
        logits = torch.randn(1, 2, size, size, generator=torch.Generator().manual_seed(2))
        loss = lo.card(card)()
        expected = loss(logits, torch.where(labels == 1, labels, 9), ignore=9)
        stored = torch.where(labels == 1, labels, -1).to(torch.uint8)
        torch.testing.assert_close(loss(logits, stored, ignore=-1), expected)
        with pytest.raises(ValueError, match="ignore=255"):
            loss(logits, stored)


def test_classes_are_counted_in_labels_of_every_kind() -> None:
    labels = torch.tensor([[0, 1, 1, 254, 255]])
    kinds = [labels.to(dtype) for dtype in (torch.uint8, torch.uint16, torch.uint64, torch.float32, torch.bfloat16)]
    kinds += [labels.numpy().astype(">u2"), labels.numpy()[:, ::-1], labels.as_subclass(Subclass), labels.tolist()]
    for given in kinds[:1] + kinds[5:]:
        assert lo.count_classes([given], 3, ignore=[254, 255]) == [1, 2, 0]
    for given in kinds[1:4]:
        assert lo.count_classes([given], 3, ignore=(255, 254)) == [1, 2, 0]
    assert lo.count_classes([kinds[0]], 3, ignore=[-1, 254]) == [1, 2, 0]
    assert lo.count_classes([kinds[0] == 1], 2) == [3, 2]
    with pytest.raises(ValueError, match=r"label 254 is outside"):
        lo.count_classes([kinds[0]], 3, ignore=255)
    with pytest.raises(ValueError, match="label nan is outside"):
        lo.count_classes([torch.tensor([float("nan")])], 3)


@pytest.mark.parametrize("counts", [torch.tensor([6, 3, 1]), np.array([6, 3, 1]), [6, torch.tensor(3), np.int64(1)]])
def test_counts_of_every_kind(counts: Any) -> None:
    loss = lo.CrossEntropy(class_weights="inverse_frequency")
    assert lo.with_class_weights(loss, counts).class_weights == pytest.approx((10 / 18, 10 / 9, 10 / 3))


@pytest.mark.parametrize("counts", [[], [-1, 2], {0: 3}, 5, [float("nan"), 1], "12", torch.ones(2, 2), None])
def test_counts_that_are_none_are_refused(counts: Any) -> None:
    with pytest.raises(ValueError, match=r"counts is .*expected the voxels of each class"):
        lo.with_class_weights(lo.Dice(class_weights="inverse_frequency"), counts)


@pytest.mark.parametrize("counts", [[0, 0, 0], torch.zeros(2)])
def test_counts_without_a_voxel_are_refused(counts: Any) -> None:
    with pytest.raises(ValueError, match="no voxel was counted"):
        lo.inverse_frequency(counts)


@pytest.mark.parametrize("loss", ["WCE()", lo.Criterion("WCE()"), None])
def test_class_weights_are_put_into_losses_alone(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a loss: parse\(text\).*Criterion\(with_class_weights"):
        lo.with_class_weights(loss, [1, 2, 3])
