"""Centreline boundary Dice: tubes of known radii, a form by loops, spacing, and what it is blind to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import Depth, HardSkeleton
from lossodyssey.losses.structure.centerline_boundary import tube


def certain(labels: Tensor, classes: int = 2) -> Tensor:
    return 60 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def bar(radius: int = 2, row: int = 12) -> Tensor:
    """A straight tube that runs through the image from border to border."""
    labels = torch.zeros(1, 25, 20, dtype=torch.long)
    labels[0, row - radius : row + radius + 1] = 1
    return labels


def blobs(*space: int, seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(ndimage.gaussian_filter(random.normal(size=(2, *space)), (0, *[1.5] * len(space))) > 0.05)


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_all_voxels_of_a_straight_tube_weigh_alike(radius: int) -> None:
    labels = bar(radius)
    line, depth = HardSkeleton(merged=True)(labels, 2), Depth()(labels, 2)
    share, on_line, weight = tube(line, depth, "radius")
    middle = weight[0, 0, 12, radius + 1 : -radius - 1]  # thinning shortens a line at the border
    assert (middle == middle[0]).all() and (on_line[0, 0, 12, radius + 1 : -radius - 1] == 1).all()
    assert torch.equal(share[0, 0, :, 9], (depth / (radius + 1))[0, 0, :, 9])


@pytest.mark.parametrize("axes", [2, 3])
def test_thin_tubes_weigh_more_than_thick_ones(axes: int) -> None:
    line, depth = torch.zeros(2, 1, 1, *[5] * axes)
    thin, thick, aside = ((0, 0, *[k] * axes) for k in (1, 3, 4))
    line[thin] = line[thick] = 1
    depth[thin], depth[thick], depth[aside] = 2, 5, 7
    share, radius, weight = tube(line, depth, "radius")
    assert weight[thin] == 1 and weight[thick] == pytest.approx((2 / 5) ** (axes - 1)) and weight.count_nonzero() == 2
    assert radius[thin] == pytest.approx(0.4) and radius[thick] == 1 and share[aside] == 1
    assert torch.equal(tube(line, depth, "equal")[2], line)


def by_hand(p: np.ndarray, g: np.ndarray, equal: bool) -> float:
    """The loss of one plane without any of the library's code."""
    skeletonize = pytest.importorskip("skimage.morphology").skeletonize
    tubes = []
    for mask, scale in ((p > 0.5, p), (g, np.ones_like(p))):
        line, depth = skeletonize(mask), ndimage.distance_transform_edt(mask)
        radii = depth[line]
        weight = np.ones_like(p) if equal else (radii.max() - depth + radii.min()) / radii.max()
        share = np.minimum(depth, radii.max()) / radii.max()
        tubes.append((share * scale, depth * line / radii.max() * scale, weight * line * scale))
    scores = []
    for (_, own, weight), (share, other, _) in (tubes, tubes[::-1]):
        expected = np.where(other > 0, other, own)
        scores.append(((weight * share).sum() + 1) / ((weight * expected).sum() + 1))
    return 1 - 2 * scores[0] * scores[1] / sum(scores)


@pytest.mark.parametrize("weights", ["radius", "equal"])
@pytest.mark.parametrize("seed", range(3))
def test_the_value_is_that_of_the_formula(weights: str, seed: int) -> None:
    labels = blobs(20, 24, seed=seed).long()
    noise = torch.randn(2, 2, 20, 24, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logits = noise + certain(labels) / 40
    p = logits.softmax(1)[:, 1].numpy()
    expected = np.mean([by_hand(p[n], labels[n].bool().numpy(), weights == "equal") for n in range(2)])
    found = lo.CenterlineBoundaryDice(weights=weights)(logits, labels)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("space", [(20, 24), (9, 10, 11)])
def test_spacing_matters_by_its_ratios_alone(space: tuple[int, ...]) -> None:
    labels, loss = blobs(*space).long(), lo.CenterlineBoundaryDice()
    logits = certain(blobs(*space, seed=1).long()) / 30
    uneven = [1.0, 2.5, 1.5][: len(space)]
    found, scaled = (loss(logits, labels, spacing=[k * step for step in uneven]) for k in (1.0, 8.0))
    torch.testing.assert_close(found, scaled)
    assert abs(found - loss(logits, labels)) > 1e-4
    torch.testing.assert_close(loss(logits, labels, spacing=[0.25] * len(space)), loss(logits, labels))


def test_classes_are_one_foreground() -> None:
    labels = bar()
    halves = torch.where(torch.arange(20) < 9, labels, 2 * labels)
    noise = torch.randn(1, 2, 25, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    two = torch.cat([noise[:, :1], *[noise[:, 1:] - np.log(2)] * 2], 1)
    expected = lo.CenterlineBoundaryDice()(noise, labels)
    torch.testing.assert_close(lo.CenterlineBoundaryDice()(two, halves), expected)
    likeliest = lo.CenterlineBoundaryDice(merge="max")(torch.cat([noise, noise[:, 1:] - 3], 1), halves)
    torch.testing.assert_close(likeliest, expected)


def test_given_lines_and_depths_are_those_made_inside() -> None:
    loss, labels = lo.CenterlineBoundaryDice(), blobs(20, 24).long()
    logits = certain(blobs(20, 24, seed=1).long()) / 30
    made = lo.maps_for(loss, labels, 2, spacing=(2.0, 1.0))
    assert set(made) == {"skeleton[merged=True]", "depth"} and all(found.shape[1] == 1 for found in made.values())
    spaced = {"spacing": (2.0, 1.0)}
    assert torch.equal(loss(logits, labels, auxiliary=made, **spaced), loss(logits, labels, **spaced))


def test_the_place_of_a_tube_counts_and_the_width_of_all_tubes_does_not() -> None:
    labels, loss = bar(4), lo.CenterlineBoundaryDice()
    assert float(loss(certain(bar(2)), labels)) < 1e-3 and lo.Dice()(certain(bar(2)), labels) > 0.2
    moved = certain(labels.roll(2, 1))
    assert loss(moved, labels) > 0.2 and float(lo.CenterlineDice(iterations="auto")(moved, labels)) < 1e-6


def test_the_right_mask_is_enough_however_unsure_it_is() -> None:
    labels = bar()
    logits = (certain(labels) / 600).requires_grad_()
    value = lo.CenterlineBoundaryDice()(logits, labels)
    assert float(value.detach()) == pytest.approx(0, abs=1e-12)
    assert torch.autograd.grad(value, logits)[0].abs().max() < 1e-15


def test_a_vessel_that_is_missed_has_no_pull() -> None:
    labels = bar()
    logits = (-certain(labels) / 60).requires_grad_()
    logits = torch.zeros(1, 2, 25, 20, dtype=torch.float64)
    logits[:, 0] = 1
    value = lo.CenterlineBoundaryDice()(logits.requires_grad_(), labels)
    assert value > 0.5 and not torch.autograd.grad(value, logits)[0].any()


def test_it_falls_below_zero_where_each_is_thin_inside_the_other() -> None:
    labels, found = torch.zeros(2, 1, 60, 120, dtype=torch.long)
    labels[0, 5:26, 5:55] = found[0, 8, 5:55] = 1
    found[0, 30:51, 65:115] = labels[0, 33, 65:115] = 1
    assert lo.CenterlineBoundaryDice()(certain(found), labels) < -0.5
