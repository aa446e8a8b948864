"""Losses that compare contours: limits on a disc, their formulas written a second time, and what moves their value."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

import lossodyssey as lo

Array = npt.NDArray[Any]
LOSSES = ["ActiveContour()", "ElasticInteraction()", "ShapeAware()", "ActiveContour(region=0)"]
STEPS = {(5, 6): ((2.0, 0.5), (1.0, 3.0)), (4, 5, 3): ((2.0, 1.0, 0.5), (1.0, 3.0, 1.0))}


def disc(shift: int = 0, size: int = 32) -> Tensor:
    """A disc of radius 8, 193 voxels, (1, size, size)."""
    square = (torch.arange(size) - size // 2) ** 2
    return (square[:, None] + square < 64).roll(shift, 1).long()[None]


def sure(p: Tensor, height: float = 60.0) -> Tensor:
    """Logits of two classes for a probability 0, 1/2 or 1 of the foreground."""
    return height * torch.stack([1 - 2 * p, 2 * p - 1], 1).double()


PREDICTIONS = {
    "perfect": disc(),
    "shift": disc(6),
    "empty": 0 * disc(),
    "half": 0.5 + 0 * disc(),
    "full": 1 + 0 * disc(),
    "inverse": 1 - disc(),
}


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("ElasticInteraction(frequencies='indices')", (0.1493, 0.3501, 0.3534, 0.3534, 0.3534, 0.6441)),
        ("ReleasedActiveContour()", (0.0661, 0.2419, 0.1886, 0.5001, 0.8116, 1.0661)),
        ("ActiveContour(region=0)", (0.0547, 0.0547, 1e-4, 1e-4, 1e-4, 0.0547)),
    ],
)
def test_limits_on_a_disc(text: str, limits: tuple[float, ...]) -> None:
    for p, limit in zip(PREDICTIONS.values(), limits, strict=True):
        assert float(lo.parse(text)(sure(p), disc())) == pytest.approx(limit, abs=6e-5)


def test_active_contour_is_the_area_that_is_wrong_beside_the_length() -> None:
    missed, added = disc().double().mean(), 1 - disc().double().mean()
    for loss, inside in ((lo.ActiveContour(), 1.0), (lo.ActiveContour(inside=0.25, region=2.0), 0.25)):
        length = lo.ActiveContour(region=0)
        for p, area in (("empty", missed), ("full", inside * added), ("inverse", missed + inside * added)):
            value = loss(sure(PREDICTIONS[p]), disc()) - length(sure(PREDICTIONS[p]), disc())
            assert float(value) == pytest.approx(loss.region * float(area))


def test_elastic_interaction_at_alpha_one_is_zero_for_the_truth_and_blind_to_constants() -> None:
    loss = lo.ElasticInteraction(alpha=1)
    assert float(loss(sure(disc()), disc())) == pytest.approx(0, abs=1e-12)
    assert float(loss(sure(1 - disc()), disc())) > 1e-3
    perfect, energy = lo.ElasticInteraction(alpha=0.2)(sure(disc()), disc()), loss(sure(0 * disc()), disc())
    torch.testing.assert_close(perfect, 0.8**2 * energy)


@pytest.mark.parametrize("text", [text for text in LOSSES if text != "ActiveContour(region=0)"])
def test_translation_raises_the_value(text: str) -> None:
    values = [float(lo.parse(text)(sure(disc(shift), 3.0), disc())) for shift in range(6)]
    assert values == sorted(set(values)), values


def test_the_length_of_a_contour_does_not_depend_on_where_it_is() -> None:
    loss = lo.ActiveContour(region=0)
    torch.testing.assert_close(loss(sure(disc(3)), disc()), loss(sure(disc()), disc()))


def batch(*space: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *space), generator=generator)


@pytest.mark.parametrize("text", LOSSES)
def test_flips_and_quarter_turns_change_nothing(text: str) -> None:
    logits, labels = batch(7, 6)
    expected = lo.parse(text)(logits, labels)
    for change in (
        lambda x: x.flip(-1),
        lambda x: x.flip(-2),
        lambda x: x.rot90(1, (-2, -1)),
        lambda x: x.mT,
    ):
        torch.testing.assert_close(lo.parse(text)(change(logits), change(labels)), expected)


@pytest.mark.parametrize("space", STEPS, ids=["2d", "3d"])
@pytest.mark.parametrize("text", LOSSES)
def test_values_follow_the_spacing(text: str, space: tuple[int, ...]) -> None:
    logits, labels = batch(*space)
    loss, steps = lo.parse(text), torch.tensor(STEPS[space])
    # What is not a length, and does not change: the area, and the cross entropy of every voxel.
    rest = {"ActiveContour()": lo.ActiveContour, "ShapeAware()": lo.CrossEntropy}.get(text)
    same = float(rest()(logits, labels)) if rest is lo.CrossEntropy else 0.0
    if rest is lo.ActiveContour:
        same = float(loss(logits, labels) - lo.ActiveContour(region=0)(logits, labels))
    power = 1 if text == "ShapeAware()" else -1
    once, twice = (float(loss(logits, labels, spacing=k * steps)) - same for k in (1, 2))
    assert twice == pytest.approx(2**power * once, rel=1e-5)
    each = [loss(logits[n : n + 1], labels[n : n + 1], spacing=steps[n]) for n in range(2)]
    torch.testing.assert_close(loss(logits, labels, spacing=steps), torch.stack(each).mean())


def test_indices_are_frequencies_whatever_the_spacing() -> None:
    logits, labels = batch(6, 6)
    loss, physical = lo.ElasticInteraction(frequencies="indices"), lo.ElasticInteraction()
    torch.testing.assert_close(loss(logits, labels, spacing=(2.0, 3.0)), loss(logits, labels))
    torch.testing.assert_close(loss(logits, labels), 6 * physical(logits, labels))


@pytest.mark.parametrize("space", STEPS, ids=["2d", "3d"])
def test_the_formulas_written_a_second_time(space: tuple[int, ...]) -> None:
    logits, labels = batch(*space)
    s = logits.softmax(1).numpy()
    g = np.stack([labels.numpy() == c for c in range(3)], 1).astype(float)
    for steps in ((1.0,) * len(space), STEPS[space][0]):
        for text, formula in (
            ("ElasticInteraction(alpha=0.6)", elastic),
            ("ActiveContour(region=0.5, inside=3.0)", active),
        ):
            expected = np.mean([formula(s[n, c], g[n, c], steps) for n in range(2) for c in (1, 2)])
            assert float(lo.parse(text)(logits, labels, spacing=steps)) == pytest.approx(expected)
        found = float(lo.ShapeAware()(logits, labels, spacing=steps))
        assert found == pytest.approx(np.mean([shape_aware(s[n], g[n], steps) for n in range(2)]), rel=1e-6)


def elastic(s: Array, g: Array, steps: tuple[float, ...]) -> float:
    """By the whole spectrum."""
    lines = [np.fft.fftfreq(n, step) for n, step in zip(s.shape, steps, strict=True)]
    size = np.sqrt(sum(line**2 for line in np.meshgrid(*lines, indexing="ij")))
    return float((size * np.abs(np.fft.fftn(0.6 * s - g)) ** 2).sum() / s.size**2)


def active(s: Array, g: Array, steps: tuple[float, ...]) -> float:
    """Forward differences, voxel by voxel, in every mirror image."""
    flips = [axes for k in range(s.ndim + 1) for axes in itertools.combinations(range(s.ndim), k)]
    area = 0.5 * (3.0 * s * (1 - g) ** 2 + (1 - s) * g**2).mean()
    return float(np.mean([length_ahead(np.flip(s, axes), steps) for axes in flips]) + area)


def length_ahead(s: Array, steps: tuple[float, ...]) -> float:
    total = 0.0
    for i in itertools.product(*map(range, s.shape)):
        squares = 1e-8
        for axis, step in enumerate(steps):
            following = tuple(k + (a == axis) for a, k in enumerate(i))
            if following[axis] < s.shape[axis]:
                squares += ((s[following] - s[i]) / step) ** 2
        total += math.sqrt(squares)
    return total / s.size


def shape_aware(s: Array, g: Array, steps: tuple[float, ...]) -> float:
    """By SciPy's erosion and distance transform."""
    predicted = s.argmax(0)
    factor = np.ones(s.shape[1:])
    for c in (1, 2):
        mask, truth = predicted == c, g[c] > 0
        curve, true_curve = (each & ~binary_erosion(each, border_value=1) for each in (mask, truth))
        if curve.any() and true_curve.any():
            factor += distance_transform_edt(~true_curve, steps)[curve].mean() * (mask ^ truth)
    return float((factor * -np.log((s * g).sum(0))).mean())


@pytest.mark.parametrize("text", [*LOSSES, "ElasticInteraction(alpha=1)"])
@pytest.mark.parametrize("truth", ["empty", "full"])
def test_absent_and_full_classes(text: str, truth: str) -> None:
    labels = PREDICTIONS[truth].long()
    other = PREDICTIONS["full" if truth == "empty" else "empty"]
    values = []
    for prediction in (labels, other):
        leaf = sure(prediction).requires_grad_()
        value = lo.parse(text)(leaf, labels)
        (gradient,) = torch.autograd.grad(value, leaf)
        assert gradient.isfinite().all()
        values.append(float(value.detach()))
    length = 1e-4 if "Contour" in text else 0.0
    # Without a contour there is no distance: cross entropy. Constants have no elastic energy.
    wrong = {"ShapeAware()": 120.0, "ActiveContour()": 1 + length, "ActiveContour(region=0)": length}.get(text, 0.0)
    assert values == pytest.approx([length, wrong], abs=1e-9)


def test_shape_aware_is_cross_entropy_where_the_masks_agree() -> None:
    labels = disc()
    torch.testing.assert_close(lo.ShapeAware()(sure(labels, 0.3), labels), lo.CrossEntropy()(sure(labels, 0.3), labels))
    # The contour of a square that is one voxel too large lies at distance 1; its corners at sqrt(2).
    small, large = torch.zeros(1, 9, 9, dtype=torch.long), torch.zeros(1, 9, 9, dtype=torch.long)
    small[:, 3:6, 3:6] = large[:, 2:7, 2:7] = 1
    mean = (12 + 4 * math.sqrt(2)) / 16
    ce, wrong = math.log1p(math.exp(-2)), 2 + math.log1p(math.exp(-2))
    expected = ((81 - 16) * ce + 16 * (1 + mean) * wrong) / 81
    assert float(lo.ShapeAware()(sure(large, 1.0), small)) == pytest.approx(expected)


def test_voxels_that_do_not_count_have_no_slope_towards_others() -> None:
    logits, labels = batch(6, 8)
    labels[:, :, 4:] = 255
    cropped = lo.ActiveContour()(logits[..., :4], labels[..., :4])
    torch.testing.assert_close(lo.ActiveContour()(logits, labels, ignore=255), cropped)
    weight = torch.ones(2, 6, 8)
    weight[0] = 3.0
    each = [lo.ActiveContour()(logits[n : n + 1, :, :, :4], labels[n : n + 1, :, :4]) for n in range(2)]
    weighted = lo.ActiveContour()(logits, labels, ignore=255, weight=weight)
    torch.testing.assert_close(weighted, (3 * each[0] + each[1]) / 4)


@pytest.mark.parametrize("text", ["ActiveContour()", "ElasticInteraction()", "ShapeAware()"])
def test_one_channel_is_two_classes(text: str) -> None:
    logits, labels = batch(6, 5, classes=2)
    one = lo.parse(text)(logits[:, 1:] - logits[:, :1], labels)
    torch.testing.assert_close(one, lo.parse(text)(logits, labels))
