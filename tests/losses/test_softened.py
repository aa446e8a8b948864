"""Losses on softened truths, with penalties on confident logits, and on logits as bad as those of their neighbours."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core.pair import Pair
from lossodyssey.losses.structure.scnp import SCNP


def batch(*space: int, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *space), generator=generator)


def test_label_smoothing_is_that_of_torch() -> None:
    logits, labels = batch(5, 6)
    wanted = F.cross_entropy(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(lo.LabelSmoothing(smoothing=0.2)(logits, labels), wanted)


@pytest.mark.parametrize("text", ["LabelSmoothing", "SpatialLabelSmoothing", "MarginLogits", "NeighbourAware", "SCNP"])
def test_any_loss_can_be_inside(text: str) -> None:
    logits, labels = batch(5, 6)
    loss = lo.parse(f"{text}(loss=Dice(batch=True) + 0.5 * Focal())")
    assert lo.parse(repr(loss))(logits, labels) == loss(logits, labels)
    assert loss.but(gamma=3.0)(logits, labels) != loss(logits, labels)


@pytest.mark.parametrize("text", ["LabelSmoothing()", "MarginLogits(margin=1)"])
def test_one_channel_is_two_classes(text: str) -> None:
    logits, labels = batch(5, 6, classes=2)
    loss = lo.parse(text)
    torch.testing.assert_close(loss(logits, labels), loss(logits[:, 1:] - logits[:, :1], labels))


def test_spatial_smoothing_is_hard_inside_and_soft_at_borders() -> None:
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[:, :, 5:] = 1
    pair = Pair(torch.zeros(1, 2, 9, 9, dtype=torch.float64), labels)
    ((_, view),) = lo.SpatialLabelSmoothing().views(pair)
    g = view.g.reshape(1, 2, 9, 9)[0, 1]
    assert (g[:, :4] == 0).all() and (g[:, 6:] == 1).all()
    assert (g[:, 4] == g[0, 4]).all() and 0 < g[0, 4] < 0.5 < g[0, 5] < 1
    torch.testing.assert_close(g[:, 4] + g[:, 5], torch.ones(9, dtype=torch.float64))


def test_neighbours_that_do_not_count_are_left_out_of_the_mixture() -> None:
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[:, :, 5:] = 255
    pair = Pair(torch.zeros(1, 2, 9, 9, dtype=torch.float64), labels, ignore=255)
    ((_, view),) = lo.SpatialLabelSmoothing().views(pair)
    assert (view.g.reshape(1, 2, 9, 9)[0, 0, :, :5] == 1).all()
    shares = lo.NeighbourAware().shares(pair).reshape(1, 2, 9, 9)[0]
    assert (shares[0, :, :6] == 1).all() and (shares[:, :, 6:] == 0).all()


def test_logits_that_are_the_shares_of_the_neighbours_cost_no_penalty() -> None:
    _, labels = batch(6, 7)
    shares = lo.NeighbourAware().shares(Pair(torch.zeros(2, 3, 6, 7, dtype=torch.float64), labels))
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 42, dtype=torch.float64))
    corner = F.one_hot(labels[:, :2, :2].flatten(1), 3).double().mean(1)
    torch.testing.assert_close(shares[:, :, 0], corner)
    logits = shares.reshape(2, 3, 6, 7)
    torch.testing.assert_close(lo.NeighbourAware(penalty=5)(logits, labels), lo.CrossEntropy()(logits, labels))
    by_shares = (shares + 1e-12).log().reshape(2, 3, 6, 7)
    on_probabilities = lo.NeighbourAware(penalty=5, on="probabilities")
    torch.testing.assert_close(on_probabilities(by_shares, labels), lo.CrossEntropy()(by_shares, labels))


def penalised(z: Tensor, labels: Tensor, size: int, ignore: int = 255) -> Tensor:
    """The rule of same-class neighbours, voxel by voxel."""
    found, reach = z.clone(), size // 2
    for n, y, x in itertools.product(*map(range, labels.shape)):
        if labels[n, y, x] == ignore:
            continue
        rows, columns = (range(max(0, k - reach), min(length, k + reach + 1)) for k, length in ((y, 6), (x, 7)))
        box = [(a, b) for a in rows for b in columns if labels[n, a, b] != ignore]
        for c in range(z.shape[1]):
            own = bool(labels[n, y, x] == c)
            values = [z[n, c, a, b] for a, b in box if bool(labels[n, a, b] == c) == own]
            found[n, c, y, x] = min(values) if own else max(values)
    return found


@pytest.mark.parametrize("size", [3, 5])
def test_logits_are_the_worst_of_the_neighbours_of_the_same_class(size: int) -> None:
    logits, labels = batch(6, 7)
    labels[0, 2:4, 1:4] = 255
    ((_, view),) = SCNP(size=size).views(Pair(logits, labels, ignore=255))
    counts = (labels != 255)[:, None].expand_as(logits)
    torch.testing.assert_close(view.logits[counts], penalised(logits, labels, size)[counts])


def test_larger_boxes_never_cost_less() -> None:
    logits, labels = batch(5, 6, 4)
    values = [float(lo.SCNP(loss=lo.CrossEntropy(), size=size)(logits, labels)) for size in (1, 3, 5, 99)]
    assert values == sorted(values) and values[0] < values[1] < values[2]


def test_same_class_neighbours_of_logits_constant_in_space_change_nothing() -> None:
    logits, labels = batch(5, 6)
    flat = logits[:, :, :1, :1].expand_as(logits)
    torch.testing.assert_close(lo.SCNP()(flat, labels), lo.DiceCE()(flat, labels))
    torch.testing.assert_close(lo.SCNP()(logits + 7, labels), lo.SCNP()(logits, labels))


@pytest.mark.parametrize("size", [2, 4, 0, -1, 1.5])
def test_a_box_needs_a_centre(size: int) -> None:
    with pytest.raises(ValueError, match=r"SCNP.size is .*, expected"):
        lo.SCNP(size=size)
