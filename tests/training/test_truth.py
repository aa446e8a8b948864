"""What a loss is told of labels: classes, regions, ignored voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossodyssey as lo
from lossodyssey.data.patches import CachedCase
from lossodyssey.training.inference import segment
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit
from lossodyssey.training.truth import build_criterion, count_targets, truth_of

LABELS = torch.tensor([[[0, 1, 2], [4, 4, 7]]])
REGIONS = ((1, 2, 4), (1, 4), (4,))


def test_regions_are_boolean_channels_under_a_sigmoid() -> None:
    target, weight = truth_of(LABELS, REGIONS, ignore=7)
    assert target.dtype == torch.bool and target.shape == (1, 3, 2, 3)
    assert target[0, 1].tolist() == [[False, True, False], [True, True, False]]
    assert weight is not None and weight.tolist() == [[[True, True, True], [True, True, False]]]
    assert build_criterion(lo.parse("Dice()"), REGIONS, 7).link == "sigmoid"


def test_classes_are_the_labels_themselves_under_a_softmax() -> None:
    target, weight = truth_of(LABELS, ignore=7)
    assert target is LABELS and weight is None
    criterion = build_criterion(lo.parse("Dice()"), (), 7)
    assert (criterion.link, criterion.ignore) == ("softmax", 7)


def test_voxels_of_classes_and_of_regions_are_counted() -> None:
    assert count_targets([LABELS, LABELS], 5, ignore=7) == [2, 2, 2, 0, 4]
    assert count_targets(iter([LABELS, LABELS]), 5, REGIONS, ignore=7) == [8, 6, 4]


@pytest.mark.parametrize("regions", [(), ((1,), (1, 3))])
def test_ignored_voxels_do_not_pull(regions: tuple[tuple[int, ...], ...]) -> None:
    criterion = build_criterion(lo.parse("Dice() + CrossEntropy()"), regions, ignore=5)
    labels = torch.randint(0, 2, (1, 8, 8), generator=torch.Generator().manual_seed(0))
    labels[:, :4] = 5
    logits = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    target, weight = truth_of(labels, regions, 5)
    criterion(logits, target, weight=weight).backward()
    assert logits.grad is not None
    assert logits.grad[:, :, :4].abs().max() == 0 and logits.grad[:, :, 4:].abs().max() > 0


@pytest.mark.parametrize("loss", ["Dice() + CrossEntropy()", "CrossEntropy()"])
def test_nested_regions_are_learned(cases: list[CachedCase], loss: str) -> None:
    nested = []
    for case in cases:
        inner = np.argwhere(case.labels.numpy() == 1)
        labels = case.labels.clone()
        row, column = inner.mean(0).round().astype(int)
        labels[row - 2 : row + 3, column - 2 : column + 3] = 40000 - 2**15
        image = case.image + 2 * (labels > 1)
        nested.append(replace(case, image=image, labels=labels))
    top = int(nested[0].labels.max())
    settings = Settings(steps=100, epoch=20, patch=(16, 16), features=(8, 16), foreground=1.0, device="cpu")
    outcome = fit(lo.parse(loss), nested, settings, classes=3, seed=0, regions=((1, top), (top,)))
    found = segment(outcome.network, nested[0].image.numpy(), settings, written=(1, top))
    assert set(np.unique(found)) <= {0, 1, top}
    truth = nested[0].labels.numpy()
    for parts in ((1, top), (top,)):
        both = [np.isin(labels, parts) for labels in (found, truth)]
        dice = 2 * (both[0] & both[1]).sum() / (both[0].sum() + both[1].sum())
        assert dice > 0.5, (parts, dice)


class Fixed(nn.Module):
    """Logits that do not depend on the image: one constant per output."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits[None, :, None, None].repeat(len(images), 1, *images.shape[2:])


@pytest.mark.parametrize(
    ("logits", "written", "label"),
    [
        ([1, 1, -1], (1, 2, 3), 2),
        ([1, -1, 1], (1, 2, 3), 3),
        ([-1, -1, -1], (1, 2, 3), 0),
        ([1, 1, 1], (2, 1, 300), 300),
    ],
)
def test_predicted_regions_write_their_labels_in_order(
    logits: list[float], written: tuple[int, ...], label: int
) -> None:
    image = np.random.default_rng(0).normal(size=(1, 20, 20)).astype(np.float32)
    assert (segment(Fixed(logits), image, Settings(patch=(16, 16)), written) == label).all()


def test_more_classes_than_a_byte_holds_are_told_apart() -> None:
    logits = [0.0] * 299 + [1.0]
    image = np.zeros((1, 16, 16), np.float32)
    assert (segment(Fixed(logits), image, Settings(patch=(16, 16))) == 299).all()
