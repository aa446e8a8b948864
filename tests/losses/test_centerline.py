"""Centreline Dice: worked examples, symmetry, voxels that do not count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo


def line() -> Tensor:
    """A line one voxel wide: its own skeleton."""
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[0, 7, 2:14] = 1
    return labels


def certain(labels: Tensor, classes: int = 2) -> Tensor:
    return 60 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def test_perfect_is_zero_and_a_broken_line_costs_its_recall() -> None:
    labels, loss = line(), lo.CenterlineDice()
    assert float(loss(certain(labels), labels)) < 1e-12
    broken = labels.clone()
    broken[0, 7, 10:14] = 0
    skeleton = int(labels.sum())
    recall = (skeleton - 4 + 1) / (skeleton + 1)
    torch.testing.assert_close(float(loss(certain(broken), labels)), 1 - 2 * recall / (1 + recall))


def test_wider_lines_cost_less_than_their_dice() -> None:
    labels = line()
    wide = torch.nn.functional.max_pool2d(labels.float(), 3, 1, 1).long()
    prediction = certain(wide)
    assert lo.CenterlineDice()(prediction, labels) < 0.5 * lo.Dice()(prediction, labels)


def test_binary_masks_may_change_places() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(4, 1, 24, 24, generator=generator), 5, 1, 2)[:, 0]
    first, second = (smooth[:2] > 0.5).long(), (smooth[2:] > 0.5).long()
    loss = lo.CenterlineDice(iterations=4)
    torch.testing.assert_close(loss(certain(first), second), loss(certain(second), first))


def test_auto_makes_as_many_iterations_as_the_widest_object_needs() -> None:
    labels = torch.zeros(1, 24, 24, dtype=torch.long)
    labels[0, 3:20, 4:19] = 1
    logits = torch.randn(1, 2, 24, 24, generator=torch.Generator().manual_seed(0))
    auto, enough, one_less = (lo.CenterlineDice(iterations=n) for n in ("auto", 7, 6))
    assert auto(logits, labels) == enough(logits, labels) != one_less(logits, labels)
    assert lo.parse("DiceCenterline(iterations='auto')")(logits, labels).isfinite()
    with pytest.raises(ValueError, match="iterations is 'many', expected"):
        lo.CenterlineDice(iterations="many")


def test_flips_and_turns_change_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 3, 12, 14, generator=generator, dtype=torch.float64)
    labels, loss = torch.randint(0, 3, (1, 12, 14), generator=generator), lo.CenterlineDice(iterations=3)
    expected = loss(logits, labels)
    torch.testing.assert_close(loss(logits.flip(-1), labels.flip(-1)), expected)
    torch.testing.assert_close(loss(logits.flip(-2), labels.flip(-2)), expected)
    torch.testing.assert_close(loss(logits.mT, labels.mT), expected)


def test_an_empty_truth_costs_by_what_is_predicted() -> None:
    empty, labels, loss = torch.zeros_like(line()), line(), lo.CenterlineDice()
    assert float(loss(certain(empty), empty)) < 1e-12
    precision = 1 / (int(labels.sum()) + 1)
    torch.testing.assert_close(float(loss(certain(labels), empty)), 1 - 2 * precision / (precision + 1))


def test_logits_of_ignored_voxels_have_no_influence() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 3, 12, 14, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (1, 12, 14), generator=generator)
    labels[0, 3:6, 4:9] = 255
    other = torch.where(labels[:, None] == 255, 5 * torch.randn(logits.shape, generator=generator), logits)
    loss = lo.DiceCenterline(iterations=3)
    assert torch.equal(loss(logits, labels, ignore=255), loss(other, labels, ignore=255))
    gradient = torch.autograd.grad(loss(logits.requires_grad_(), labels, ignore=255), logits)[0]
    assert not gradient.movedim(1, -1)[labels == 255].any()


def test_preset_is_half_dice_and_half_centreline_dice() -> None:
    assert lo.card("DiceCenterline").same_as == "0.5 * Dice() + 0.5 * CenterlineDice()"
