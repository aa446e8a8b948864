"""Values without a meaning are refused in words; ratios without `smooth` keep finite and right gradients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels

DIGITS = "1" * 400


@pytest.mark.parametrize(
    "text",
    [
        "1e999 * Dice()",
        "Dice() * 1e999",
        "-1e999 * Dice()",
        "1e200 * (1e200 * Dice())",
        f"{DIGITS} * Dice()",
        f"-{DIGITS} * Dice()",
        f"Focal(gamma={DIGITS})",
        f"CrossEntropy(class_weights=({DIGITS}, 1))",
        f"Ramp({DIGITS}, 1) * Dice()",
        f"Step(1, 0, {DIGITS}) * Dice()",
        f"TwoPhase(Dice(), Focal(), {DIGITS})",
        f"DiceCE(dice={DIGITS})",
        f"HausdorffErosion(erosions={DIGITS})",
        f"CenterlineDice(iterations={DIGITS})",
        f"Dice({DIGITS})",
        DIGITS,
        "DiceCE(dice='x')",
        "DiceFocal(gamma='two')",
        "DiceTopK(percent=-3)",
        "DiceCE(ce=None)",
        "DiceCE(dice=1e999)",
    ],
)
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|by name") as refusal:
        lo.parse(text)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("weight", [float("inf"), -float("inf"), float("nan"), 10**400])
@pytest.mark.parametrize("loss", [lo.Dice(), lo.DiceCE()])
def test_weights_of_losses_are_finite(weight: float, loss: lo.Loss) -> None:
    for combine in (lambda: weight * loss, lambda: loss * weight):
        with pytest.raises(ValueError, match=r"the weight of .* expected a finite number"):
            combine()


def test_a_loss_may_be_trained_against() -> None:
    logits, labels = torch.randn(1, 2, 4, 4), torch.randint(0, 2, (1, 4, 4))
    loss = lo.parse("CrossEntropy() + -0.5 * Dice()")
    torch.testing.assert_close(
        loss(logits, labels), lo.CrossEntropy()(logits, labels) - 0.5 * lo.Dice()(logits, labels)
    )
    assert (-1 * lo.Dice()).bounds() == (-1, 0)


@pytest.mark.parametrize(("name", "value"), [("dice", "x"), ("ce", None), ("dice", float("nan")), ("ce", [1])])
def test_presets_check_their_arguments_in_python(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"DiceCE.{name} is .*expected"):
        lo.DiceCE(**{name: value})


@pytest.mark.parametrize("erosions", [0, -5, 101, 999999999, 2.0, True])
def test_erosions_are_a_number_of_steps(erosions: Any) -> None:
    with pytest.raises(ValueError, match=r"HausdorffErosion.erosions is .*, expected"):
        lo.HausdorffErosion(erosions=erosions)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), -0.5])
@pytest.mark.parametrize("name", ["Dice", "CrossEntropy", "Lovasz", "TopK", "HausdorffErosion"])
def test_targets_that_are_no_shares_are_refused(name: str, bad: float) -> None:
    logits, loss = torch.zeros(1, 2, 4, 4), lo.card(name)()
    soft = torch.full((1, 2, 4, 4), 0.5)
    soft[0, 1, 2, 3] = bad
    for link in ("softmax", "sigmoid"):
        with pytest.raises(ValueError, match=r"one channel per class with values .*, expected 0 to 1"):
            loss(logits, soft, link=link)
    labels = torch.zeros(1, 4, 4)
    labels[0, 1, 1] = bad
    with pytest.raises(ValueError, match="not whole numbers"):
        loss(logits, labels)


@pytest.mark.parametrize(
    ("labels", "classes", "advice"),
    [
        ([0, 255], 2, "target > 0 or target // 255"),
        ([0, 255], 1, "target > 0 or target // 255"),
        ([0, 1000], 3, "target > 0 or target // 1000"),
        ([0, 127, 255], 3, "torch.searchsorted(torch.tensor([0, 127, 255]), target.long())"),
        ([0, 85, 170, 255], 4, "torch.searchsorted(torch.tensor([0, 85, 170, 255]), target.long())"),
        ([255], 2, "target > 0 or target // 255"),
        ([0, 130, 255], 2, "target > 127"),
        ([0, 3, 90, 251, 255], 1, "target > 127"),
    ],
)
def test_masks_in_grey_levels_are_told_how_to_be_read(labels: list[int], classes: int, advice: str) -> None:
    target = torch.tensor(labels).repeat(4)[None, None]
    logits = torch.randn(1, classes, 1, len(labels) * 4)
    message = rf"stored as .*{re.escape(advice)}.*only if they do not count"
    with pytest.raises(ValueError, match=message):
        lo.Dice()(logits, target)
    read = eval(advice.split(" or ")[0], {"torch": torch, "target": target})
    assert lo.Dice()(logits, read).isfinite()
    for ignore in (-1, [77, 78]):
        with pytest.raises(ValueError, match=message):
            lo.Dice()(logits, target, ignore=ignore)
    if classes == 2 and 0 in labels:
        with pytest.raises(ValueError, match="a mask stored as 0 and 255 is target > 0 or target / 255"):
            lo.Dice()(logits, target[:, None].expand(1, 2, 1, -1).float(), link="sigmoid")


@pytest.mark.parametrize(
    ("labels", "ignore", "advice"),
    [
        ([0, 1, 255], None, "if 255 marks voxels that do not count, pass ignore=255"),
        ([0, 1, 254, 255], None, "if 254 and 255 mark voxels that do not count, pass ignore=[254, 255]"),
        ([0, 1, 254, 255], 255, "pass ignore=[255, 254]"),
        ([-1, 0, 1], None, "pass ignore=-1"),
    ],
)
def test_marks_are_told_how_to_be_ignored(labels: list[int], ignore: int | None, advice: str) -> None:
    logits, target = torch.randn(1, 2, 1, len(labels)), torch.tensor(labels)[None, None]
    with pytest.raises(ValueError, match=re.escape(advice)):
        lo.Dice()(logits, target, ignore=ignore)
    given = eval(advice.split("ignore=")[1])
    assert lo.Dice()(logits, target, ignore=given).isfinite()


@pytest.mark.parametrize("ignore", ["255", True, 2.5, [1, "2"], float("nan"), [None]])
def test_ignore_labels_that_are_none_are_refused(ignore: Any) -> None:
    with pytest.raises(ValueError, match=r"ignore is .*expected a label"):
        lo.Dice()(torch.zeros(1, 2, 4), torch.zeros(1, 4).long(), ignore=ignore)
    with pytest.raises(ValueError, match=r"ignore is .*expected a label"):
        lo.Criterion("Dice()", ignore=ignore)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("target", None),
        ("target", "abc"),
        ("target", {"label": torch.zeros(1, 4)}),
        ("weight", "abc"),
        ("weight", [[1, "a"]]),
    ],
)
def test_what_holds_no_numbers_is_named(name: str, given: Any) -> None:
    arguments = {"target": torch.zeros(1, 4).long(), name: given}
    with pytest.raises(ValueError, match=f"{name} is "):
        lo.Dice()(torch.zeros(1, 2, 4), **arguments)


def test_a_target_on_another_device_is_named() -> None:
    with pytest.raises(ValueError, match=r"target is on meta, but logits are on cpu: give target.to\('cpu'\)"):
        lo.Dice()(torch.zeros(1, 2, 4), torch.zeros(1, 4, device="meta").long())


NO_SMOOTH = [
    f"{card.name}(smooth=0)"
    for card in lo.atlas()
    if card.category in ("region", "compound") and not card.preset
    if any(field.name == "smooth" and "[0" in field.type for field in card.fields)
] + ["Tversky(alpha=1, beta=0, smooth=0)", "Dice(smooth=0, square=True)", "Dice(smooth=0, batch=True, background=True)"]


@pytest.fixture(params=["plain", "chunked", "compiled"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with kernels.forced(request.param):
        yield request.param


def slope(loss: lo.Loss, logits: Tensor, target: Tensor, **context: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, target, **context)
    (gradient,) = torch.autograd.grad(65536 * value, leaf)  # the factor that AMP's scaler begins with
    assert value.isfinite() and gradient.isfinite().all()
    return value.detach(), gradient / 65536


@pytest.mark.parametrize("margin", [20.0, 30.0, 50.0, 100.0, 180.0])
@pytest.mark.parametrize("text", NO_SMOOTH)
def test_a_confidently_absent_class_leaves_the_others_their_gradient(text: str, margin: float, backend: str) -> None:
    loss = lo.parse(text)
    labels = torch.tensor([[[0, 1, 0, 1], [1, 1, 0, 0]]])
    base = torch.randn(1, 2, 2, 4, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.float32, torch.float16, torch.float64):
        logits = torch.cat([base, torch.full_like(base[:, :1], -margin)], 1).to(dtype)
        _, gradient = slope(loss, logits, labels)
        assert gradient[:, 2].abs().max() < 1e-4
        alone = slope(loss.but(absent="skip"), logits.double(), labels)[1]
        if "Generalized" not in text:  # its classes share one ratio
            classes = 3 if loss.terms[0][1].background else 2  # type: ignore[attr-defined]
            torch.testing.assert_close(gradient.double(), alone * (classes - 1) / classes, rtol=2e-3, atol=1e-4)
        regions = torch.stack([labels == 0, labels == 1, labels < 0], 1)
        slope(loss, logits, regions, link="sigmoid")
        slope(loss.but(batch=True), logits, regions, link="sigmoid", weight=torch.ones(1, 3, 1, 1))


def test_the_absent_class_of_dice_still_costs_what_it_should(backend: str) -> None:
    logits = torch.tensor([50.0, 50.0, -50.0]).reshape(1, 3, 1, 1).repeat(1, 1, 2, 4)
    labels = torch.tensor([[[0, 1, 0, 1], [1, 1, 0, 0]]])
    value, gradient = slope(lo.Dice(smooth=0), logits, labels)
    assert float(value) == pytest.approx((0.5 + 1) / 2)
    leaf = logits[:, :2].double().requires_grad_()
    s, g = leaf.softmax(1)[:, 1], (labels == 1).double()
    (expected,) = torch.autograd.grad((1 - 2 * (s * g).sum() / (s.sum() + g.sum()) + 1) / 2, leaf)
    torch.testing.assert_close(gradient[:, :2], expected.float())
    assert gradient[:, 2].abs().max() < 1e-30
