"""The variants of released code: each deviates from the right loss in the way that its first sentence says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core.loss import written_out

VARIANTS = [card.name for card in lo.atlas() if card.category == "as_released"]


def batch(classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, classes, 6, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (2, 3, 4), generator=generator).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return logits, labels[..., :7]


def build(name: str) -> lo.Loss:
    return lo.ReleasedTopKThreshold(threshold=0.6) if name == "ReleasedTopKThreshold" else lo.card(name)()


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_has_a_text_and_a_slope_that_fits_its_value(name: str) -> None:
    loss, (logits, labels) = build(name), batch()
    assert repr(lo.parse(repr(loss))) == repr(loss)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf, labels), leaf)
    if "Ratio" in written_out(loss):
        return  # its weight carries no gradient on purpose
    rise = loss(logits + 1e-6 * direction, labels) - loss(logits - 1e-6 * direction, labels)
    assert float((gradient * direction).sum()) == pytest.approx(float(rise / 2e-6), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in VARIANTS if not lo.card(name).needs and build(name).local])
def test_ignored_voxels_have_no_influence(name: str) -> None:
    loss, (logits, labels) = build(name), batch()
    marked = labels.clone()
    marked[:, 1::2] = 255
    torch.testing.assert_close(loss(logits, marked, ignore=255), loss(logits[:, :, ::2], labels[:, ::2]))


def test_distance_penalised_cross_entropy_is_plain() -> None:
    assert lo.ReleasedDistancePenalisedCE()(*batch()) == lo.CrossEntropy()(*batch())


def test_focal_without_label_smoothing_is_right() -> None:
    torch.testing.assert_close(lo.ReleasedFocal(label_smoothing=0)(*batch()), lo.Focal()(*batch()))
    assert abs(lo.ReleasedFocal(label_smoothing=0.1)(*batch()) - lo.Focal()(*batch())) > 1e-3


def test_threshold_looks_at_the_likeliest_class() -> None:
    logits, labels = batch()
    kept = logits.softmax(1).amax(1) < 0.6
    expected = -logits.log_softmax(1).gather(1, labels[:, None])[:, 0][kept].mean()
    torch.testing.assert_close(lo.ReleasedTopKThreshold(threshold=0.6)(logits, labels), expected)
    assert lo.ReleasedTopKThreshold(threshold=0.5)(*batch(classes=2)).isnan()


def test_squared_dice_of_an_absent_class_scores_two() -> None:
    labels = torch.zeros(1, 6, 7, dtype=torch.long)
    logits = 60 * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
    assert float(lo.ReleasedDiceV2()(logits, labels)) == pytest.approx(-1)
    assert float(lo.ReleasedDice()(logits, labels)) == pytest.approx(0)


def test_powers_and_logarithms_are_of_the_mean() -> None:
    logits, labels = batch()
    tversky, dice = lo.Tversky()(logits, labels), lo.Dice()(logits, labels)
    torch.testing.assert_close(lo.ReleasedFocalTversky()(logits, labels), tversky**0.75)
    torch.testing.assert_close(lo.ReleasedLogarithmicDice()(logits, labels), (-(1 - dice).log()) ** 0.3)


def test_penalty_is_the_inverse_of_the_right_one() -> None:
    logits, labels = batch()
    x = lo.ReleasedGeneralizedDiceV1()(logits, labels)
    released = lo.ReleasedPenaltyGeneralizedDice(k=2.5)(logits, labels)
    torch.testing.assert_close((1 + 2.5) * released / (1 + 2.5 * released), x)


def test_generalised_dice_is_right_where_all_classes_are_present_in_one_large_unit() -> None:
    logits, labels = batch()
    right = lo.GeneralizedDice(batch=True)(logits, labels)
    torch.testing.assert_close(lo.ReleasedGeneralizedDice()(logits, labels), right)


def test_lovasz_of_raw_logits_is_right_where_they_are_probabilities() -> None:
    logits, labels = batch()
    raw = lo.ReleasedLovasz()(logits.softmax(1), labels)
    torch.testing.assert_close(raw, lo.Lovasz(classes="all")(logits, labels))
    assert lo.ReleasedLovasz()(logits, labels) > 1


def test_boundary_jumps_behind_the_edge() -> None:
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[:, 2:7, 2:7] = 1
    weights = [-3.0, -2.0, 0.0, 1.0]  # centre, next, edge, outside
    for column, expected in zip((4, 5, 6, 7), weights, strict=True):
        logits = torch.full((1, 2, 9, 9), -60.0)
        logits[:, 0], logits[0, 1, 4, column] = 0, 60.0
        assert float(lo.ReleasedBoundary()(logits, labels)) * 81 == pytest.approx(expected, abs=1e-4)


def test_hausdorff_leaves_a_far_false_positive_free() -> None:
    labels = torch.zeros(1, 12, 12, dtype=torch.long)
    labels[:, 1:4, 1:4] = 1
    values = []
    for row in (5, 10):
        logits = 60 * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
        logits[0, :, row, 10] = torch.tensor([0.0, 3.0])
        values.append([float(loss(logits, labels)) for loss in (lo.ReleasedHausdorffDT(), lo.HausdorffDT())])
    assert values[0][0] == pytest.approx(values[1][0]) and values[1][1] > 1.2 * values[0][1]


@pytest.mark.parametrize("options", [{}, {"region": 0.0}, {"inside": 0.5}], ids=str)
def test_active_contour_takes_its_slopes_at_different_voxels(options: dict[str, float]) -> None:
    logits, labels = batch()
    s = logits.softmax(1)[:, 1:]
    g = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)[:, 1:].double()
    down, right = s.diff(dim=2)[:, :, 1:, :-2], s.diff(dim=3)[:, :, :-2, 1:]
    length = (down**2 + right**2 + 1e-8).sqrt().mean()
    area = (options.get("inside", 1) * s * (1 - g) + (1 - s) * g).mean()
    expected = length + options.get("region", 1) * area
    torch.testing.assert_close(lo.ReleasedActiveContour(**options)(logits, labels), expected)
    assert abs(lo.ActiveContour(**options)(logits, labels) - expected) > 1e-3
