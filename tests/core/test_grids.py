"""Losses on the whole grid: what a formula may ask for, and the limits of the losses that ask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import HardSkeleton, InverseSize, SignedDistance


class Asking(lo.GridLoss, abstract=True):
    """Keeps what it was given."""

    background: bool = False

    def auxiliaries(self) -> dict[str, lo.Auxiliary]:
        return {"phi": SignedDistance(), "even": InverseSize()}

    def formula(
        self,
        s: Tensor,
        g: Tensor,
        log_p: Tensor,
        predicted: Tensor,
        true: Tensor,
        valid: Tensor,
        weight: Tensor,
        spacing: Tensor,
        exclusive: bool,
        phi: Tensor,
        even: Tensor,
    ) -> Tensor:
        self.given: dict[str, Any] = {name: value for name, value in locals().items() if name != "self"}
        return s.flatten(2).mean(2)


class Bright(lo.GridLoss, abstract=True):
    """The brightness of what is predicted."""

    def formula(self, s: Tensor, image: Tensor) -> Tensor:
        return (s * image.mean(1, keepdim=True)).flatten(2).mean(2)


class Unknown(lo.GridLoss, abstract=True):
    """Asks for something that there is not."""

    def formula(self, s: Tensor, depth: Tensor) -> Tensor:
        raise AssertionError("not reached")


def batch(*space: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, classes, *(space or (6, 5)), generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *(space or (6, 5))), generator=generator)


def sure(labels: Tensor, classes: int = 2) -> Tensor:
    """Logits that are sure of the labels."""
    return 80 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


@pytest.mark.parametrize("background", [False, True])
def test_a_formula_gets_what_it_names(background: bool) -> None:
    logits, labels = batch()
    ignored = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) > 0.7
    marked, first = torch.where(ignored, 255, labels), 0 if background else 1
    loss = Asking(background=background)
    loss(logits, marked, ignore=255, spacing=((2.0, 1.0), (1.0, 3.0)))
    given, kept = loss.given, ~ignored[:, None]
    one_hot = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)[:, first:]
    torch.testing.assert_close(given["s"], logits.softmax(1)[:, first:] * kept)
    log_p = logits.log_softmax(1).gather(1, labels[:, None])
    torch.testing.assert_close(given["log_p"], log_p * kept)
    assert torch.equal(given["g"], (one_hot * kept).double()) and torch.equal(given["true"], (one_hot * kept).bool())
    likeliest = torch.nn.functional.one_hot(logits.argmax(1), 3).movedim(-1, 1)[:, first:]
    assert torch.equal(given["predicted"], (likeliest * kept).bool())
    assert torch.equal(given["valid"], kept) and torch.equal(given["weight"], kept.double())
    assert given["spacing"].tolist() == [[2, 1], [1, 3]] and given["exclusive"] is True
    for name, wanted in loss.auxiliaries().items():
        expected = wanted(torch.where(ignored, 3, labels), 3, torch.tensor([[2.0, 1.0], [1.0, 3.0]])).double()
        torch.testing.assert_close(given[name], expected[:, first:] if name == "phi" else expected)


def test_regions_are_not_exclusive_and_voxels_are_the_unit_without_spacing() -> None:
    logits, labels = batch()
    loss, regions = Asking(), torch.stack([labels >= c for c in range(3)], 1)
    weight = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    loss(logits, regions, link="sigmoid", weight=weight)
    assert loss.given["exclusive"] is False and loss.given["spacing"].tolist() == [[1, 1], [1, 1]]
    assert torch.equal(loss.given["predicted"], logits > 0) and torch.equal(loss.given["weight"], weight)


def test_given_auxiliary_values_reach_the_formula_by_their_names() -> None:
    logits, labels = batch()
    loss, phi = Asking(), torch.rand(2, 3, 6, 5, dtype=torch.float64)
    loss(logits, labels, auxiliary={"phi": phi})
    assert torch.equal(loss.given["phi"], phi[:, 1:])


def test_a_missing_image_and_an_unknown_name_are_refused() -> None:
    logits, labels = batch()
    sentence = r"Bright looks at the image, and the call has none: give the network's input as image=, \(N, K, 6, 5\)"
    for call in (Bright(), lo.Dice() + Bright(), lo.Marginal(loss=Bright(), hidden=(2,)), lo.Criterion(Bright())):
        assert getattr(call, "needs_image", True)
        with pytest.raises(ValueError, match=sentence):
            call(logits, labels)
    with pytest.raises(ValueError, match=r"Unknown\.formula asks for 'depth', expected one of s, g, log_p, predicted"):
        Unknown()(logits, labels)


@pytest.mark.parametrize("channels", [0, 1, 2])
def test_the_mean_leaves_out_samples_in_which_nothing_counts(channels: int) -> None:
    logits, labels = batch()
    image = torch.rand(2, *[channels][: channels > 0], 6, 5, dtype=torch.float64)
    labels[1] = 255
    found = Bright()(logits, labels, ignore=255, image=image)
    torch.testing.assert_close(found, Bright()(logits[:1], labels[:1], image=image[:1]))
    bright = image.reshape(2, -1, 6, 5)[:1].mean(1, keepdim=True)
    torch.testing.assert_close(found, (logits[:1].softmax(1)[:, 1:] * bright).mean())


def square(size: int = 10, row: int = 3, column: int = 4, *, height: int = 3, width: int = 2) -> Tensor:
    labels = torch.zeros(1, size, size, dtype=torch.long)
    labels[:, row : row + height, column : column + width] = 1
    return labels


def test_perimeter_asks_neither_where_nor_how_it_lies() -> None:
    logits = batch(10, 10, classes=2)[0][:1]
    inner = torch.zeros_like(logits)
    inner[:, 0] = 9.0
    inner[:, :, 3:7, 3:7] = logits[:, :, 3:7, 3:7]
    value = lo.Perimeter()(inner, square())
    assert float(value) > 1e-3
    for moved in (inner.roll((2, -1), (2, 3)), inner.rot90(1, (2, 3)), inner.mT, inner.flip(2)):
        torch.testing.assert_close(lo.Perimeter()(moved, square()), value)
    for truth in (square(row=5, column=2), square().rot90(1, (1, 2)), square().mT):
        torch.testing.assert_close(lo.Perimeter()(inner, truth), value)
        assert float(lo.Perimeter()(sure(truth), square())) == pytest.approx(0, abs=1e-12)
    # 5 x 5 voxels have a contour of 16, and 3 x 3 of 8, at both sides of the mask alike
    large, small = square(height=5, width=5), square(height=3, width=3)
    assert float(lo.Perimeter()(sure(large), small)) == pytest.approx((16 - 8) ** 2 / 100)


def test_mumford_shah_of_a_two_valued_image_segmented_right_is_zero() -> None:
    labels, loss = square(), lo.MumfordShah(length=0)
    image = torch.where(labels == 1, 0.8, 0.1).double()
    assert float(loss(sure(labels), labels, image=image)) == pytest.approx(0, abs=1e-12)
    wrong = sure(labels.roll(1, 2))
    assert float(loss(wrong, labels, image=image)) > 1e-3
    assert torch.equal(loss(wrong, 1 - labels, image=image), loss(wrong, labels, image=image)), "it sees no labels"
    both = torch.stack([image, 3 * image], 1)
    torch.testing.assert_close(loss(wrong, labels, image=both), 10 * loss(wrong, labels, image=image))


def test_mumford_shah_measures_borders_per_unit_of_spacing() -> None:
    labels = square()  # 3 rows and 2 columns: 4 jumps along rows' axis, 6 along the other, for each of two classes
    flat, loss = torch.zeros(1, 10, 10), lo.MumfordShah(length=1)
    for spacing, length in ((None, 10), ((1, 1), 10), ((2, 1), 8), ((1, 4), 5.5), (torch.tensor([[0.5, 2.0]]), 11)):
        assert float(loss(sure(labels), labels, image=flat, spacing=spacing)) == pytest.approx(length / 100)


@pytest.mark.parametrize("options", [{}, {"length": 0.5}], ids=str)
def test_mumford_shah_of_one_channel_is_that_of_two_classes(options: dict[str, Any]) -> None:
    logits, labels = batch(classes=2)
    image, loss = torch.rand(2, 6, 5, dtype=torch.float64), lo.MumfordShah(**options)
    leaves = [logits.clone().requires_grad_() for _ in range(2)]
    two = loss(leaves[0], labels, image=image)
    one = loss(leaves[1][:, 1:] - leaves[1][:, :1], labels, image=image)
    torch.testing.assert_close(one, 2 * two)  # one channel is one value, two classes are a mean of two
    gradients = [torch.autograd.grad(value, leaf)[0] for value, leaf in zip((two, one), leaves, strict=True)]
    torch.testing.assert_close(gradients[1], 2 * gradients[0])


def test_a_found_skeleton_costs_nothing_and_a_class_without_one_leaves_the_mean() -> None:
    labels = torch.zeros(1, 12, 12, dtype=torch.long)
    labels[:, 2:5, 1:10] = 1
    everything = torch.ones_like(labels)
    for prediction in (labels, everything):
        assert float(lo.SkeletonRecall()(sure(prediction), labels)) == pytest.approx(0, abs=1e-5)
    thin = (HardSkeleton(tube=0)(labels, 2) > 0).long()[:, 1]
    assert 0 < thin.sum() < labels.sum() / 2
    assert float(lo.SkeletonRecall(tube=0)(sure(thin), labels)) == pytest.approx(0, abs=1e-5)
    assert float(lo.SkeletonRecall()(sure(0 * labels), labels)) == pytest.approx(1, abs=1e-5)
    logits = batch(12, 12)[0][:1]
    seen = torch.stack([logits[:, 0].logaddexp(logits[:, 2]), logits[:, 1]], 1)
    torch.testing.assert_close(lo.SkeletonRecall()(logits, labels), lo.SkeletonRecall()(seen, labels))
    assert float(lo.SkeletonRecall()(logits, 0 * labels)) == 0


@pytest.mark.parametrize(
    ("prediction", "truth", "value"),
    [(1, 1, 0.0), (-1, 1, 2.0), (0, 1, 1.0), (1, 0, 1.0), (0, 0, 0.0)],
    ids=["perfect", "inverse", "nothing found", "nothing there", "neither"],
)
def test_limits_of_the_matthews_correlation(prediction: int, truth: int, value: float) -> None:
    labels = square()
    seen = {1: labels, -1: 1 - labels, 0: 0 * labels}[prediction]
    found = float(lo.MatthewsCorrelation()(sure(seen), truth * labels))
    assert found == pytest.approx(value, abs=1e-2 if value == 1 else 1e-4)
