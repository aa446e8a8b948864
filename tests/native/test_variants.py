"""Every set of instructions that this processor has gives the same values, from one library."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import native
from lossodyssey.distance.transform import inside
from lossodyssey.native import compiler, openmp, toolchain

if native.library() is None:
    pytest.skip("no C compiler", allow_module_level=True)

KNOWN = compiler.variants()
USABLE = KNOWN[: KNOWN.index(toolchain.instructions()) + 1]
LOSSES = ("DiceCE() + Focal()", "Lovasz()", "TopK()", "Boundary()")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("variants") / "library.so"
    path.write_bytes(compiler.compiled(KNOWN))
    return path


def use(variant: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = toolchain.load(path, variant)
    openmp.give(found.loaded, openmp.runtime())
    outcome = native.Outcome(found.loaded, path, variant, found.functions, True)
    monkeypatch.setattr(native, "outcome", lambda: outcome)


def values() -> list[Tensor]:
    """Losses and their gradients of softmax and of regions, and a distance transform."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (2, 160, 161), generator=generator)
    found: list[Tensor] = [inside(labels, (1.0, 2.5))]
    for text in LOSSES:
        logits = (3 * torch.randn((2, 3, 160, 161), generator=generator)).requires_grad_()
        loss = lo.parse(text)(logits, labels)
        loss.backward()
        assert logits.grad is not None
        found += [loss.detach(), logits.grad / logits.grad.abs().max()]
    return found


@pytest.mark.parametrize("variant", KNOWN)
def test_a_library_has_the_functions_of_every_variant(variant: str, library: Path) -> None:
    assert set(toolchain.load(library, variant).functions) == set(compiler.exported())


@pytest.mark.parametrize("variant", USABLE)
def test_every_variant_gives_the_values_of_pytorch(
    variant: str, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "outcome", lambda: native.Outcome(reason="switched off"))
    expected = values()
    use(variant, library, monkeypatch)
    for mine, theirs in zip(values(), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
