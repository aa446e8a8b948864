"""What losses declare as sums of powers is their formula, and compiled code computes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels, native
from lossodyssey.core.kinds import VoxelLoss
from lossodyssey.kernels.compiled import compiled_chunks
from lossodyssey.kernels.powers import Power, table

if TYPE_CHECKING:
    from lossodyssey.kernels.fused.formulas import Formulas

NEEDS_COMPILER = pytest.mark.skipif(native.library() is None, reason="no C compiler")
NEEDS_TRITON = pytest.mark.skipif(not kernels.has_triton(), reason="Triton is not installed")
VARIANTS = ["Focal(gamma=0)", "Focal(gamma=0.5)", "Focal(gamma=0.75)", "Focal(gamma=1)", "Focal(gamma=3)"]
VARIANTS += ["AsymmetricFocal(gamma=0.5)", "AsymmetricFocal(gamma=0)", "PolyFocal(gamma=0.5)", "PolyCE(epsilon=-0.5)"]
VARIANTS += ["ExponentialCE(exponent=1)", "ExponentialCE(exponent=2.5)", "AsymmetricLargeMargin(rare=(2,), gamma=1)"]
VARIANTS += ["CrossEntropy(class_weights=(1, 2, 0.5))", "SymmetricFocal(class_weights=(1, 2, 0.5), gamma=0.7)"]
STATES = {"softmax": (torch.arange(3)[:, None],) * 2, "sigmoid": (torch.tensor([[1, 0]] * 3), torch.arange(3)[:, None])}
OTHERS = ["TopKThreshold()", "TopKThreshold(threshold=1, class_weights=(1, 2, 0.5))", "TiltedCE()"]
SUMS = ["Dice() + CrossEntropy() + Focal()", "Dice(square=True) + ExponentialCE()", "Boundary() + PolyFocal()"]


def declaring() -> list[str]:
    """The texts of all losses of the atlas that declare powers, at their defaults, and of some variants."""
    found = [card.name for card in lo.atlas() if card.category != "custom"]
    losses = [(f"{name}()", lo.parse(f"{name}()")) for name in found]
    declared = [text for text, loss in losses if isinstance(loss, VoxelLoss) and _declares(loss)]
    assert len(declared) > 8
    return declared + VARIANTS


def _declares(loss: VoxelLoss) -> bool:
    return loss.powers(*STATES["softmax"]) is not None


def maps_of(loss: VoxelLoss, log_p: Tensor) -> list[Tensor]:
    powers = loss.powers(*STATES["softmax"]) or {}
    count = 1 + max((power.of_map for power in powers if power.of_map is not None), default=-1)
    return [torch.linspace(0.5, 2, log_p.numel(), dtype=log_p.dtype).view_as(log_p) for _ in range(count)]


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", declaring())
def test_the_powers_are_the_formula(text: str, link: str) -> None:
    loss = lo.parse(text)
    assert isinstance(loss, VoxelLoss)
    labels, classes = torch.broadcast_tensors(*STATES[link])
    factors = loss.factors(labels, classes, weights=loss.class_weights)
    assert factors is not None
    expected = torch.zeros(())
    for label, channel, place in zip(labels.flatten(), classes.flatten(), range(labels.numel()), strict=True):
        # Nearer to p = 1 the clamps of double precision and of float32 differ.
        log_p = -torch.logspace(-6, 2, 400, dtype=torch.float64)[None].requires_grad_()
        maps = maps_of(loss, log_p)
        all_labels, all_classes = label.expand(1, 400), channel.expand(1, 400)
        expected = loss.values(log_p, all_labels, all_classes, *maps, weights=loss.class_weights)
        found = torch.zeros_like(log_p)
        for power, factor in factors.items():
            each = torch.as_tensor(factor, dtype=torch.float64).expand(labels.shape).flatten()[place]
            found = found + each * power(log_p) * (1 if power.of_map is None else maps[power.of_map])
        # Factors may be numbers of float32.
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)
        (gradient,) = torch.autograd.grad(found.sum(), log_p, allow_unused=True)
        (wanted,) = torch.autograd.grad(expected.sum(), log_p)
        torch.testing.assert_close(gradient, wanted, rtol=1e-6, atol=1e-12)


def outcome(
    text: str, backend: str, logits: Tensor, labels: Tensor, link: str, **given: object
) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    with kernels.forced(backend):
        value = lo.parse(text)(leaf, labels, link=link, **given)  # type: ignore[operator]
        (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def batch(link: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2, 3, 19, 23, generator=generator)
    if link == "softmax":
        return logits, torch.randint(0, 3, (2, 19, 23), generator=generator)
    return logits, torch.rand(logits.shape, generator=generator) > 0.6


@NEEDS_COMPILER
@pytest.mark.parametrize("given", ["nothing", "weights", "mask", "ignore"])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", [*declaring(), *OTHERS, *SUMS])
def test_compiled_code_computes_the_formula(text: str, link: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = batch(link)
    weight = torch.rand(2, 1, 19, 23, generator=torch.Generator().manual_seed(1))
    more: dict[str, object] = {"nothing": {}, "weights": {"weight": weight}, "mask": {"weight": weight > 0.3}}.get(
        given, {"ignore": 1}
    )
    if given == "ignore" and link == "sigmoid":
        pytest.skip("regions have no label to ignore")
    try:
        value, gradient = outcome(text, "plain", logits.double(), labels, link, **more)
    except ValueError as refusal:
        pytest.skip(str(refusal))
    monkeypatch.setattr(compiled_chunks, "method", lambda truth: pytest.fail("formulas went through PyTorch"))
    found, found_gradient = outcome(text, "compiled", logits, labels, link, **more)
    torch.testing.assert_close(found.double(), value.double(), rtol=1e-6, atol=1e-7)
    scale = float(gradient.abs().max())
    torch.testing.assert_close(found_gradient.double(), gradient, rtol=0, atol=3e-5 * scale)


@NEEDS_TRITON
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", [*declaring(), *OTHERS, *SUMS])
def test_the_kernels_of_triton_compute_the_formula(text: str, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lossodyssey.kernels.fused.formulas import Formulas

    monkeypatch.setattr(Formulas, "d_log_p", no_formula)
    logits, labels = (x[..., :5, :] for x in batch(link))
    # Some voxels do not count, and others count in part.
    weight = (torch.rand(2, 1, 5, 23, generator=torch.Generator().manual_seed(1)) - 0.2).clamp(min=0)
    given: dict[str, object] = {"weight": weight} if link == "sigmoid" else {"weight": weight, "ignore": 1}
    try:
        value, gradient = outcome(text, "plain", logits.double(), labels, link, **given)
    except ValueError as refusal:
        pytest.skip(str(refusal))
    found, found_gradient = outcome(text, "fused", logits, labels, link, **given)
    torch.testing.assert_close(found.double(), value, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found_gradient.double(), gradient, rtol=0, atol=1e-5 * float(gradient.abs().max()))


def no_formula(formulas: Formulas, log_p: Tensor | None, d_terms: Tensor, d_log_p: Tensor) -> None:
    assert not formulas.request.voxel_terms, "formulas went through PyTorch"


@pytest.mark.parametrize(
    "backend", [pytest.param("compiled", marks=NEEDS_COMPILER), pytest.param("fused", marks=NEEDS_TRITON)]
)
@pytest.mark.parametrize("text", declaring())
def test_sure_voxels_are_as_in_the_formula(text: str, backend: str) -> None:
    _, labels = (x[..., :7, :] for x in batch("softmax"))
    sure = 200 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    for logits in (sure, -sure, sure / 10):
        (value, gradient), (found, found_gradient) = (
            outcome(text, b, logits, labels, "softmax") for b in ("plain", backend)
        )
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-7)
        assert found_gradient.isfinite().all()
        torch.testing.assert_close(found_gradient, gradient, rtol=1e-4, atol=1e-6)


@NEEDS_COMPILER
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_float32(dtype: torch.dtype) -> None:
    logits, labels = batch("softmax")
    half = logits.to(dtype)
    (value, gradient), (found, half_gradient) = (
        outcome("DiceCE() + Focal()", "compiled", z, labels, "softmax") for z in (half.float(), half)
    )
    torch.testing.assert_close(found, value, rtol=1e-5, atol=0)
    torch.testing.assert_close(half_gradient, gradient.to(dtype), rtol=1e-2, atol=1e-7)


def test_a_power_of_two_formulas_is_summed_once() -> None:
    ce, maps = Power(log=1), (torch.ones(1, 1, 4),)
    found = table([({ce: 1.0}, ()), ({ce: 2.0, Power(error=1): 3.0}, ()), ({Power(log=1, of_map=0): 4.0}, maps)], 2, 1)
    assert len(found.powers) == 3 and [m is None for m in found.maps] == [True, True, False]
    assert found.factors[:, 0, 0].tolist() == [[1, 0, 0], [2, 3, 0], [0, 0, 4]]


def test_a_loss_with_another_formula_inherits_no_powers() -> None:
    class Doubled(lo.CrossEntropy, paper="ronneberger2015", range=(0, math.inf)):  # type: ignore[misc,valid-type]
        def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
            return -2 * log_p

    assert Doubled().powers(*STATES["softmax"]) is None
