"""The compiled pass over soft truths gives what the plain one gives, and their check finds every wrong number."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels, native
from lossodyssey.kernels import compiled_soft
from lossodyssey.kernels.labels import shares

pytestmark = pytest.mark.skipif(native.library() is None, reason="no C compiler")
OVERLAP = ["Dice()", "Dice(square=True)", "Tversky(batch=True)", "Jaccard(batch=True)", "SensitivitySpecificity()"]
VOXEL = ["CrossEntropy(class_weights=(1, 2, 0.5))", "Focal(gamma=0.5)", "AsymmetricFocal()", "PolyFocal()"]
VOXEL += ["TopKThreshold()", "Dice(square=True) + TiltedCE()"]
SUMS = ["Dice() + CrossEntropy() + Focal()", "DiceCE(batch=True)", "AsymmetricUnifiedFocal()"]
SPACE = (19, 29)
"""551 voxels: two blocks, and a third that fills no register."""


def batch(link: str, classes: int = 3, space: tuple[int, ...] = SPACE) -> tuple[Tensor, Tensor]:
    """Logits, some of them confident, and shares, of which every third voxel is sure."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2, classes, *space, generator=generator)
    logits[..., -3:] *= 8
    g = torch.rand(logits.shape, generator=generator)
    sure = torch.arange(math.prod(space)).view(space) % 3 == 0
    if link == "sigmoid":
        return logits, torch.where(sure, g.round(), g)
    one_hot = torch.nn.functional.one_hot(g.argmax(1), classes).movedim(-1, 1).float()
    return logits, torch.where(sure, one_hot, g.softmax(1)).contiguous()


def outcome(text: str, backend: str, logits: Tensor, g: Tensor, link: str, **given: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    with kernels.forced(backend):
        value = lo.parse(text)(leaf, g, link=link, **given)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def no_plain_pass(*_: object) -> None:
    pytest.fail("the plain pass did the work")


@pytest.mark.parametrize("given", ["nothing", "weights", "mask"])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", [*OVERLAP, *VOXEL, *SUMS])
def test_compiled_code_computes_losses_of_soft_truths(
    text: str, link: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, g = batch(link)
    weight = torch.rand(2, 1, *SPACE, generator=torch.Generator().manual_seed(1))
    more = {"nothing": {}, "weights": {"weight": weight}, "mask": {"weight": weight > 0.3}}[given]
    value, gradient = outcome(text, "plain", logits.double(), g.double(), link, **more)
    monkeypatch.setattr(compiled_soft.plain, "run_pass", no_plain_pass)
    found, found_gradient = outcome(text, "compiled", logits, g, link, **more)
    torch.testing.assert_close(found.double(), value, rtol=2e-6, atol=1e-7)
    scale = float(gradient.abs().max())
    torch.testing.assert_close(found_gradient.double(), gradient, rtol=0, atol=3e-5 * scale)


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 21])
@pytest.mark.parametrize("voxels", [1, 255, 256, 257, 1000])
def test_any_number_of_classes_and_voxels(classes: int, voxels: int) -> None:
    for link in ("sigmoid", "softmax")[: 2 if classes > 1 else 1]:
        logits, g = batch(link, classes, (voxels,))
        value, gradient = outcome("DiceFocal()", "plain", logits.double(), g.double(), link)
        found, found_gradient = outcome("DiceFocal()", "compiled", logits, g, link)
        torch.testing.assert_close(found.double(), value, rtol=2e-6, atol=1e-7)
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found_gradient.double(), gradient, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_regions_have_weights_of_their_own_and_what_does_not_count_is_not_read(link: str) -> None:
    logits, g = batch(link)
    shape = logits.shape if link == "sigmoid" else (2, 1, *SPACE)
    weight = torch.rand(shape, generator=torch.Generator().manual_seed(2)) - 0.3
    weight = weight.clamp(min=0)
    expected = outcome("DiceCE()", "plain", logits.double(), g.double(), link, weight=weight)
    broken = torch.where(weight > 0, logits, torch.nan)
    found = outcome("DiceCE()", "compiled", broken, g, link, weight=weight)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=2e-6, atol=1e-7)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=0, atol=1e-7)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_network_that_has_diverged_is_seen(link: str, value: float) -> None:
    logits, g = batch(link)
    logits[1, 0, 3, 4] = value
    # The broken class is left out: under softmax the others are of no known probability either.
    loss = "Dice(background=False)" if link == "softmax" else "Dice()"
    found, expected = (outcome(loss, backend, logits, g, link)[0] for backend in ("compiled", "plain"))
    assert torch.equal(found.isfinite(), expected.isfinite())


def test_a_gradient_is_the_same_on_any_number_of_threads() -> None:
    logits, g = batch("softmax", 4, (40, 50, 30))
    before = torch.get_num_threads()
    try:
        gradients = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            gradients.append(outcome("Focal()", "compiled", logits, g, "softmax")[1])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    logits, g = batch("softmax")
    half = logits.to(dtype)
    rounded = g.to(dtype)
    expected = outcome("DiceCE()", "plain", half, rounded, "softmax")
    found = outcome("DiceCE()", "compiled", half, rounded, "softmax")
    torch.testing.assert_close(found[0].double(), expected[0].double(), rtol=1e-2, atol=0)
    assert found[1].dtype == dtype and torch.allclose(found[1], expected[1], rtol=1e-2, atol=1e-7)


def test_logits_and_shares_may_lie_in_any_order() -> None:
    logits, g = batch("softmax")
    last = [x.movedim(1, -1).contiguous().movedim(-1, 1) for x in (logits, g)]
    expected = outcome("DiceCE()", "compiled", logits, g, "softmax")
    for given in ((last[0], g), (logits, last[1]), (logits, g.double())):
        found = outcome("DiceCE()", "compiled", *given, "softmax")
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_second_derivatives_and_gradients_of_the_truth_are_those_of_the_plain_pass() -> None:
    logits, g = batch("softmax", 3, (12,))
    curved = []
    for backend in ("compiled", "plain"):
        leaf = logits.clone().requires_grad_()
        with kernels.forced(backend):
            (first,) = torch.autograd.grad(lo.DiceCE()(leaf, g), leaf, create_graph=True)
            curved.append(torch.autograd.grad(first.square().sum(), leaf)[0])
    torch.testing.assert_close(curved[0], curved[1], rtol=1e-4, atol=1e-7)
    # Of two networks that teach each other the truth has a gradient, too.
    teacher = g.clone().requires_grad_()
    with kernels.forced("compiled"):
        lo.DiceCE()(logits, teacher).backward()
    assert teacher.grad is not None and teacher.grad.any()


@pytest.mark.parametrize("at", [0, 255, 256, 600, 699])
@pytest.mark.parametrize("wrong", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_a_wrong_share_is_found_wherever_it_stands(at: int, wrong: float) -> None:
    _, g = batch("sigmoid", 3, (700,))
    assert shares(g, exclusive=False) == (True, True)
    g[1, 2, at] = wrong
    assert shares(g, exclusive=False) == (True, False)


def test_shares_of_exclusive_classes_sum_to_one() -> None:
    _, g = batch("softmax", 3, (700,))
    assert shares(g, exclusive=True) == (True, True)
    assert shares(g.half().float(), exclusive=True) == (True, True)
    assert shares(g.round(), exclusive=False) == (False, True)
    g[0, 1, 699] *= 0.9
    assert shares(g, exclusive=True) == (True, False) and shares(g, exclusive=False) == (True, True)


def test_what_compiled_code_cannot_read_is_left_to_pytorch() -> None:
    _, g = batch("softmax")
    flat = g.flatten(2)
    assert shares(flat.double(), exclusive=True) is None and shares(flat.half(), exclusive=True) is None
    assert shares(flat.mT.contiguous().mT, exclusive=True) is None
    assert shares(flat[:, :, :0].contiguous(), exclusive=True) == (False, True)
