"""Grids of other voxel sizes: smooth images stay what they are, and no class is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from lossodyssey.data.resampling import (
    nearest,
    resample_image,
    resample_labels,
    resample_linear,
    resampled_shape,
    separate_axis,
)


def waves(shape: Sequence[int]) -> np.ndarray:
    """A smooth function of the place in the unit box, sampled at the centres of voxels."""
    axes = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij")
    return np.sin(sum((3 + k) * axis for k, axis in enumerate(axes)))[None].astype(np.float32)


@pytest.mark.parametrize(
    ("old", "new"),
    [((40, 48), (30, 61)), ((24, 30, 28), (31, 20, 28)), ((24, 30, 28), (12, 60, 30))],
    ids=["2d", "3d", "3d by two"],
)
def test_a_smooth_image_is_the_same_function_on_another_grid(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    found = resample_image(waves(old), new)
    assert found.dtype == np.float32 and found.shape == (1, *new)
    # Beyond its edge an image is not known to be smooth.
    inner = (slice(None), *(slice(n // 4, -(n // 4)) for n in new))
    cubic = np.abs(found - waves(new))[inner].max()
    linear = np.abs(resample_linear(torch.from_numpy(waves(old)[0]), new).numpy() - waves(new)[0])[inner[1:]].max()
    assert cubic < 1e-3 and cubic < linear / 3


def test_splines_stay_within_the_range_of_their_channel() -> None:
    image = np.zeros((2, 12, 12), np.float32)
    image[0, 6:], image[1, :, 6:] = 1, -5
    found = resample_image(image, (31, 29))
    assert (found.min((1, 2)).tolist(), found.max((1, 2)).tolist()) == ([0, -5], [1, 0])


def test_an_equal_grid_is_left_alone() -> None:
    image, labels = waves((6, 7)), np.eye(6, 7, dtype=np.uint8)
    assert resample_image(image, (6, 7)) is image
    assert resample_labels(labels, (6, 7)) is labels


@pytest.mark.parametrize(
    ("spacing", "target", "axis"),
    [
        ((1, 1, 3), (1, 1, 1), None),
        ((1, 1, 3.01), (1, 1, 1), 2),
        ((5, 1, 1), (1, 1, 4), 0),
        ((1, 1, 1), (1, 4, 1), 1),
        ((1, 5, 5), (1, 1, 1), None),
        ((1, 9), (1, 1), None),
    ],
    ids=["three", "above", "old first", "new", "two coarse axes", "picture"],
)
def test_one_axis_is_kept_apart_where_slices_are_far_apart(
    spacing: tuple[float, ...], target: tuple[float, ...], axis: int | None
) -> None:
    assert separate_axis(spacing, target) == axis


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("deep", [3, 10], ids=["fewer slices", "more slices"])
def test_slices_of_the_axis_kept_apart_are_those_of_the_image(axis: int, deep: int) -> None:
    old, new = [12, 14], [18, 9]
    old.insert(axis, 5)
    new.insert(axis, deep)
    image = np.random.default_rng(0).normal(size=(1, *old)).astype(np.float32)
    labels = (image[0] > 0.3).astype(np.uint8)
    moved, grid = resample_image(image, new, axis), resample_labels(labels, new, axis)
    plane = [size for number, size in enumerate(new) if number != axis]
    for number, taken in enumerate(nearest(5, deep)):
        one = resample_image(image.take(taken, axis + 1), plane)
        # The channel's range is wider than that of a slice, which alone may be cut.
        np.testing.assert_allclose(moved.take(number, axis + 1), one, atol=1e-5)
        np.testing.assert_array_equal(grid.take(number, axis), resample_labels(labels.take(taken, axis), plane))


def test_the_nearest_slice_holds_the_centre() -> None:
    assert nearest(4, 2).tolist() == [1, 3] and nearest(2, 4).tolist() == [0, 0, 1, 1] and nearest(3, 1).tolist() == [1]


def test_the_extent_is_kept() -> None:
    assert resampled_shape((100, 50, 20), (0.7, 1.0, 5.0), (1.0, 1.0, 2.5)) == (70, 50, 40)
    assert resampled_shape((1, 3), (0.1, 1.0), (5.0, 5.0)) == (1, 1)


def sphere(shape: Sequence[int], centre: Sequence[float], radius: float) -> np.ndarray:
    axes = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij")
    return sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True)) < radius**2


@pytest.mark.parametrize("new", [(30, 30, 30), (55, 41, 70)], ids=["coarser", "finer"])
def test_labels_are_those_of_the_same_shapes_drawn_on_the_new_grid(new: tuple[int, ...]) -> None:
    def drawn(shape: Sequence[int]) -> np.ndarray:
        labels = np.zeros(shape, np.int16)
        labels[sphere(shape, (0.4, 0.5, 0.5), 0.3)] = 4
        labels[sphere(shape, (0.6, 0.5, 0.5), 0.2)] = 300
        return labels

    found, expected = resample_labels(drawn((44, 44, 44)), new), drawn(new)
    assert found.dtype == np.int16 and set(np.unique(found)) == {0, 4, 300}
    for label in (4, 300):
        both = np.sum((found == label) & (expected == label))
        assert 2 * both / (np.sum(found == label) + np.sum(expected == label)) > 0.96


def test_a_sheet_of_one_voxel_survives_a_halving_without_holes() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:, 9] = 1
    found = resample_labels(labels, (10, 10, 10))
    assert (found[:, 4] == 1).all() and found.sum() == 100


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_no_class_is_lost_however_thin(factor: int) -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[:, 7, 7], labels[3, 3, 3], labels[20:28, 20:28, 20:28] = 1, 2, 3
    labels[29, 29, 29] = 4
    found = resample_labels(labels, (30 // factor,) * 3)
    assert set(np.unique(found)) == {0, 1, 2, 3, 4}
    assert np.argwhere(found == 2).tolist() == [[3 // factor] * 3]


def test_an_ignored_label_stays_a_label() -> None:
    labels = np.full((16, 16), 7, np.uint8)
    labels[4:12, 4:12] = 0
    found = resample_labels(labels, (24, 8))
    assert set(np.unique(found)) == {0, 7} and (found == 0).sum() == 12 * 4
