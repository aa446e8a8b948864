"""Losses of single voxels: hard voxels that are kept, classes that are tilted, margins, calibration."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import lossodyssey as lo


def batch(*space: int, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *space), generator=generator)


def sure(labels: Tensor, classes: int = 3, scale: float = 60.0) -> Tensor:
    return scale * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def test_hard_voxels_are_kept_of_a_perfect_prediction_too() -> None:
    _, labels = batch(8, 8)
    logits = sure(labels).requires_grad_()
    value = lo.OhemCE()(logits, labels)
    value.backward()
    assert logits.grad is not None and value.item() == pytest.approx(0) and logits.grad.isfinite().all()


def test_a_lower_threshold_never_lowers_the_value() -> None:
    logits, labels = batch(8, 8)
    values = [float(lo.OhemCE(threshold=t, min_kept=9)(logits, labels)) for t in (1, 0.7, 0.3, 0.1, 0)]
    assert values == sorted(values) and values[0] < values[-1]


def class_means(logits: Tensor, labels: Tensor) -> list[float]:
    log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return [float(-log_p[labels == c].mean()) for c in range(logits.shape[1]) if (labels == c).any()]


def test_tilt_leads_from_the_mean_of_the_classes_to_the_worst() -> None:
    logits, labels = batch(9, 7)
    means = class_means(logits, labels)
    wanted = {t: math.log(sum(math.exp(t * x) for x in means) / 3) / t for t in (0.5, 1.0, 2.0)}
    values = {t: float(lo.TiltedCE(tilt=t)(logits, labels)) for t in (1e-6, *wanted, 1e4)}
    assert [values[t] for t in wanted] == pytest.approx(list(wanted.values()))
    assert values[1e-6] == pytest.approx(sum(means) / 3, rel=1e-5)
    assert values[1e4] == pytest.approx(max(means), rel=1e-3)
    assert list(values.values()) == sorted(values.values())


def test_tilt_knows_the_classes_that_are_there() -> None:
    logits, labels = batch(9, 7)
    labels = labels.clamp(max=1)
    means = class_means(logits, labels)
    assert len(means) == 2
    wanted = math.log((math.exp(means[0]) + math.exp(means[1])) / 2)
    assert float(lo.TiltedCE()(logits, labels)) == pytest.approx(wanted)


def test_tilt_of_one_channel_is_that_of_two_classes() -> None:
    logits, labels = batch(9, 7, classes=2)
    both, one = lo.TiltedCE()(logits, labels), lo.TiltedCE()(logits[:, 1:] - logits[:, :1], labels)
    torch.testing.assert_close(both, one)


@pytest.mark.parametrize("rare", [(), (2,)])
def test_the_margin_is_taken_from_the_true_logit_of_rare_voxels(rare: tuple[int, ...]) -> None:
    logits, labels = batch(6, 5)
    is_rare = torch.isin(labels, torch.tensor(rare or (1, 2)))
    true = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * is_rare[:, None]
    log_q = (logits - 0.7 * true).log_softmax(1).gather(1, labels[:, None])[:, 0]
    wanted = torch.where(is_rare, -log_q, -((1 - log_q.exp()) ** 3) * log_q).mean()
    found = lo.AsymmetricLargeMargin(margin=0.7, gamma=3, rare=rare)(logits, labels)
    torch.testing.assert_close(found, wanted)
    without = lo.AsymmetricLargeMargin(margin=0, gamma=3, rare=rare)(logits, labels)
    assert without < found < without + 0.7


@pytest.mark.parametrize(("rare", "link"), [((0,), "softmax"), ((1, 3), "softmax"), ((3,), "sigmoid")])
def test_rare_classes_are_foreground(rare: tuple[int, ...], link: str) -> None:
    logits, labels = batch(6, 5)
    target = labels if link == "softmax" else torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
    with pytest.raises(ValueError, match=r"rare is .* but there are 3 classes"):
        lo.AsymmetricLargeMargin(rare=rare)(logits, target, link=link)


@pytest.mark.parametrize("binning", ["hard", "soft"])
def test_one_bin_compares_the_proportions(binning: str) -> None:
    logits, labels = batch(6, 5)
    loss = lo.AverageCalibrationError(bins=1, binning=binning)
    s, g = logits.softmax(1), torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
    wanted = (s.mean((2, 3)) - g.double().mean((2, 3))).abs().mean()
    torch.testing.assert_close(loss(logits, labels), wanted)


@pytest.mark.parametrize("binning", ["hard", "soft"])
def test_calibration_does_not_see_where_voxels_are(binning: str) -> None:
    logits, labels = batch(8, 6)
    loss, order = lo.AverageCalibrationError(bins=7, binning=binning), torch.randperm(48)
    moved = loss(logits.flatten(2)[:, :, order], labels.flatten(1)[:, order])
    torch.testing.assert_close(loss(logits, labels), moved)
    share = torch.nn.functional.one_hot(labels, 3).double().mean((1, 2)).log()[:, :, None, None]
    assert float(loss(share.expand(-1, -1, 8, 6), labels)) == pytest.approx(0, abs=1e-12)


def test_soft_bins_are_hard_ones_for_values_in_their_centres() -> None:
    labels = torch.tensor([[0, 0, 0, 1, 1, 0, 1, 1]])
    s = torch.tensor([[0.1, 0.3, 0.3, 0.3, 0.5, 0.5, 0.7, 0.9]], dtype=torch.float64)
    values = [
        float(lo.AverageCalibrationError(bins=5, binning=binning)(s.logit()[:, None], labels[:, None]))
        for binning in ("hard", "soft")
    ]
    by_hand = (0.1 + abs(0.3 - 1 / 3) + 0 + 0.3 + 0.1) / 5
    assert values == pytest.approx([by_hand, by_hand])


def test_classes_that_are_absent_can_count() -> None:
    logits, labels = batch(6, 5)
    labels = labels.clamp(max=1)
    skip, count = (float(lo.AverageCalibrationError(absent=x)(logits, labels)) for x in ("skip", "count"))  # type: ignore[arg-type]
    assert skip != pytest.approx(count)


@pytest.mark.parametrize("text", ["MarginalKL()", "MarginalL1()"])
def test_sizes_are_compared_and_not_places(text: str) -> None:
    loss, (logits, labels) = lo.parse(text), batch(6, 5)
    share = torch.nn.functional.one_hot(labels, 3).double().mean((1, 2)).log()[:, :, None, None]
    assert float(loss(share.expand(-1, -1, 6, 5), labels)) == pytest.approx(0, abs=1e-12)
    assert float(loss(logits, labels)) > 0
    two, one = loss(logits[:, :2], labels.clamp(max=1)), loss(logits[:, 1:2] - logits[:, :1], labels.clamp(max=1))
    torch.testing.assert_close(two, one)


def test_the_divergence_of_sizes_is_that_of_the_shares() -> None:
    logits, labels = batch(6, 5)
    s, g = logits.softmax(1).mean((2, 3)), torch.nn.functional.one_hot(labels, 3).double().mean((1, 2))
    wanted = torch.nn.functional.kl_div(s.log(), g, reduction="batchmean")
    torch.testing.assert_close(lo.MarginalKL()(logits, labels), wanted)


def test_margins_need_the_counts_of_every_class() -> None:
    logits, labels = batch(6, 5)
    free, loss = lo.MarginCalibration(), lo.MarginCalibration(class_counts=(9000, 900, 100), tau=3)
    torch.testing.assert_close(loss.but(tau=0)(logits, labels), free(logits, labels))
    assert loss(logits, labels) > free(logits, labels)
    with pytest.raises(ValueError, match=r"class_counts is .* but there are 3 classes"):
        loss.but(class_counts=(1, 2))(logits, labels)
    with pytest.raises(ValueError, match=r"class_counts\[1\] is 0.0, expected"):
        lo.MarginCalibration(class_counts=(9, 0, 1))
    with pytest.raises(ValueError, match=r"upsilon is 0\.01, too small"):
        loss.but(upsilon=0.01)(logits, labels)


def test_margins_of_one_channel_are_those_of_two_classes() -> None:
    logits, labels = batch(6, 5, classes=2)
    for loss in (lo.MarginCalibration(), lo.MarginCalibration(class_counts=(900, 100))):
        torch.testing.assert_close(loss(logits, labels), loss(logits[:, 1:] - logits[:, :1], labels))
