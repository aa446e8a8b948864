"""The compiled pass over few classes, whose large gradients go past the caches, and the check of labels."""

from __future__ import annotations

import pytest
import torch

import lossodyssey as lo
from lossodyssey import kernels, native
from lossodyssey.kernels.labels import within

if native.library() is None:
    pytest.skip("no C compiler", allow_module_level=True)

WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def gradient(text: str, backend: str, shape: tuple[int, ...]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    logits = (3 * torch.randn(shape, generator=generator)).requires_grad_()
    with kernels.forced(backend):
        lo.parse(text)(logits, labels).backward()
    assert logits.grad is not None
    return logits.grad


@pytest.mark.parametrize("text", ["DiceCE()", "Dice()", "AsymmetricUnifiedFocal()", "TopK()"])
@pytest.mark.parametrize("shape", [(1, 2, 2200, 1000), (1, 3, 1408, 1024), (1, 5, 905, 1000)])
def test_a_gradient_larger_than_the_caches_is_right(text: str, shape: tuple[int, ...]) -> None:
    mine, plain = gradient(text, "compiled", shape), gradient(text, "plain", shape)
    torch.testing.assert_close(mine, plain, rtol=2e-4, atol=2e-6 * float(plain.abs().max()))


@pytest.mark.parametrize("text", ["CrossEntropy()", "Focal()"])
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 40])
def test_a_voxel_has_the_same_gradient_whatever_the_number_of_threads(text: str, classes: int) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(gradient(text, "compiled", (3, classes, 161, 163)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("place", [0, 511, 70_000])
def test_a_label_outside_is_found_wherever_it_is(dtype: torch.dtype, place: int) -> None:
    labels = torch.arange(70_001, dtype=torch.int64).remainder(3).to(dtype)
    assert within(labels, 3, None) and not within(labels, 2, None) and within(labels, 2, 2)
    labels[place] = 100
    assert not within(labels, 3, None) and within(labels, 3, 100)
    if dtype.is_signed:
        labels[place] = -1
        assert not within(labels, 3, None) and within(labels, 3, -1)


def test_a_label_that_32_bits_cannot_hold_is_outside() -> None:
    labels = torch.zeros(70_000, dtype=torch.int64)
    labels[-1] = 1 << 32
    assert not within(labels, 2, None)
