"""Losses under `torch.compile` as users call it: the default back end writes C++, whose answer is that of PyTorch."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
import torch
from torch import Tensor

import lossodyssey as lo

CXX = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")

pytestmark = [
    pytest.mark.skipif(shutil.which(CXX) is None, reason=f"torch.compile needs a C++ compiler, and {CXX} is not found"),
    pytest.mark.filterwarnings("ignore"),  # PyTorch's own, about the machine
]


def value_and_slope(loss: lo.Loss, logits: Tensor, labels: Tensor, context: dict[str, object]) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels, **context)  # type: ignore[arg-type]
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


# One of every kind, and the signed distances whose edges made C++ that did not compile.
@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("Boundary()", (6, 7)),
        ("Boundary()", (4, 5, 6)),
        ("Dice() + Focal()", (4, 5, 6)),
        ("TopK()", (4, 5, 6)),
        ("Lovasz()", (4, 5, 6)),
    ],
)
def test_default_back_end_gives_the_answer_of_pytorch(text: str, space: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, *space, generator=generator)
    labels = torch.randint(0, 3, (2, *space), generator=generator)
    weight = torch.rand(2, *space, generator=generator)
    context = {"weight": weight, "spacing": (1.5, 2.0, 0.5)[: len(space)]}
    torch.compiler.reset()
    loss = lo.parse(text)
    found = value_and_slope(torch.compile(loss, fullgraph=True), logits, labels, context)  # type: ignore[arg-type]
    torch.testing.assert_close(found, value_and_slope(loss, logits, labels, context), rtol=1e-5, atol=1e-6)
