"""Shapes that are no labels of the logits: a criterion, and what is made of one, refuse them as the loss does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo

PLANE, VOLUME = (2, 3, 48, 64), (2, 3, 8, 12, 10)
WRONG = [
    (PLANE, (2, 64, 48)),
    (PLANE, (2, 50, 72)),
    (PLANE, (2, 5, 7)),
    (PLANE, (2, 1, 64, 48)),
    (PLANE, (1, 48, 64)),
    (PLANE, (2, 2, 48, 64)),
    (PLANE, (2, 3, 24, 32)),
    (PLANE, (2, 96, 128)),
    (VOLUME, (2, 4, 12, 10)),
    (VOLUME, (2, 1, 7, 12, 10)),
    (VOLUME, (2, 12, 8, 10)),
    (VOLUME, (2, 16, 24, 20)),
    ((2, 1, 6, 6), (2, 5, 6)),
    ((1, 2, 9), (1, 8)),
]
Call = Callable[[Tensor, Tensor], Any]


def of_criterion(logits: Tensor, target: Tensor) -> Tensor:
    return lo.Criterion("DiceCE()")(logits, target)


def of_summands(logits: Tensor, target: Tensor) -> Any:
    return lo.Criterion("DiceCE()").summands(logits, target)


def of_one_output(logits: Tensor, target: Tensor) -> Tensor:
    return lo.Criterion("DiceCE()")([logits], target)


def of_named_output(logits: Tensor, target: Tensor) -> Tensor:
    return lo.Criterion("DiceCE()")({"out": logits}, target)


def of_monai(logits: Tensor, target: Tensor) -> Any:
    return pytest.importorskip("lossodyssey.integrations.monai", exc_type=ImportError).MonaiLoss("DiceCE()")(
        logits, target
    )


CALLS = [of_criterion, of_summands, of_one_output, of_named_output, of_monai]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("shape", "labels"), WRONG)
def test_a_wrong_shape_is_refused_in_the_words_of_the_loss(
    shape: tuple[int, ...], labels: tuple[int, ...], call: Call
) -> None:
    logits, target = torch.randn(shape), torch.zeros(labels).long()
    with pytest.raises(ValueError, match="target has shape") as expected:
        lo.DiceCE()(logits, target)
    with pytest.raises(ValueError, match="target has shape") as found:
        call(logits, target)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("call", [of_criterion, of_monai])
@pytest.mark.parametrize("labels", [(2, 8, 6), (2, 10, 10), (2, 4, 4), (2, 1, 16, 16), (1, 8, 8), (2, 2, 8, 8)])
def test_only_a_target_of_the_finest_scale_is_brought_to_the_others(labels: tuple[int, ...], call: Call) -> None:
    scales: Any = [torch.randn(2, 3, n, n) for n in (8, 4, 2)]
    with pytest.raises(ValueError, match=r"target has shape .*, logits have \(2, 3, 8, 8\)"):
        call(scales, torch.zeros(labels).long())
    for fitting in ((2, 8, 8), (2, 1, 8, 8)):
        assert call(scales, torch.zeros(fitting).long()).isfinite()


@pytest.mark.parametrize("other", [(1, 3, 4, 4), (2, 2, 4, 4), (2, 3, 16, 4), (2, 3, 9, 9), (2, 3, 4), (2, 3, 4, 4, 4)])
def test_scales_that_are_no_coarser_ones_of_the_first_are_refused(other: tuple[int, ...]) -> None:
    scales, target = [torch.randn(2, 3, 8, 8), torch.randn(other)], torch.zeros(2, 8, 8).long()
    with pytest.raises(ValueError, match=r"logits\[1\] has shape .*the same samples and classes at every scale"):
        lo.Criterion("DiceCE()")(scales, target)


@pytest.mark.parametrize("call", [lambda z, y: lo.DiceCE()(z, y), of_criterion, of_monai])
@pytest.mark.parametrize("space", [(16, 16), (8, 12, 10)])
@pytest.mark.parametrize("channel", [(), (1,)])
def test_outputs_stacked_by_monai_are_told_to_be_unbound(
    channel: tuple[int, ...], space: tuple[int, ...], call: Call
) -> None:
    """DynUNet stacks K scales, brought to one size, as (N, K, C, *S) while it trains."""
    stacked, target = torch.randn(2, 4, 3, *space), torch.zeros(2, *channel, *space).long()
    with pytest.raises(ValueError, match=r"a list: logits.unbind\(1\)"):
        call(stacked, target)
    assert lo.Criterion("DiceCE()")(stacked.unbind(1), target).isfinite()
