"""Cached cases and where patches come from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lossodyssey.data import read_dataset
from lossodyssey.data.caching import cache
from lossodyssey.data.intensity import normalise
from lossodyssey.data.patches import CachedCase, cut, draw_place, patch_shape


def made(labels: np.ndarray) -> CachedCase:
    voxels = np.argwhere(labels > 0)
    foreground = (voxels,) if len(voxels) else ()
    image = torch.zeros(1, *labels.shape)
    return CachedCase("made", image, torch.from_numpy(labels), (1.0,) * labels.ndim, foreground)


def test_every_channel_gets_mean_0_and_deviation_1() -> None:
    image = np.random.default_rng(0).normal(1e4, 300, (2, 9, 8, 7)).astype(np.float32)
    image[1] *= 1e-4
    scaled = normalise(image)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std((1, 2, 3)), 1, rtol=1e-5)


def test_a_flat_channel_becomes_zero() -> None:
    assert (normalise(np.full((1, 4, 4), 7, np.float32)) == 0).all()


def test_cached_cases_know_where_their_classes_are(folder) -> None:
    dataset = read_dataset(folder.root)
    first = cache(dataset, dataset.cases)[0]
    assert first.image.shape == (1, 5, 6, 4)
    assert first.spacing == (1.5, 2.0, 3.0)
    for number, voxels in zip((1, 2), first.foreground, strict=True):
        assert (first.labels.numpy()[tuple(voxels.T)] == number).all()
        assert len(voxels) == int((first.labels == number).sum())


def test_a_case_without_labels_cannot_be_trained_on(folder) -> None:
    dataset = read_dataset(folder.root)
    with pytest.raises(ValueError, match="case a has no labels"):
        cache(dataset, [replace(dataset.cases[0], label=None)])


def test_the_patch_is_the_median_shape_within_its_budget() -> None:
    cases = [made(np.zeros(shape, np.int16)) for shape in ((35, 50, 36), (33, 47, 30), (40, 59, 38))]
    assert patch_shape(cases, 8) == (40, 56, 40)
    assert np.prod(patch_shape(cases, 8, voxels=20_000)) <= 20_000
    assert patch_shape([made(np.zeros((5, 6), np.int16))], 8) == (16, 8)


def test_a_third_of_the_patches_is_centred_on_the_foreground() -> None:
    labels = np.zeros((60, 60), np.int16)
    labels[44, 41] = 1
    rng = np.random.default_rng(0)
    starts = [tuple(draw_place(rng, [made(labels)], (16, 16), 0.33).start) for _ in range(3000)]
    share = np.mean([start == (36, 33) for start in starts])
    assert 0.30 < share < 0.36


@pytest.mark.parametrize("foreground", [0.0, 1.0])
def test_patches_stay_inside_and_small_images_are_centred(foreground: float) -> None:
    labels = np.ones((11, 40), np.int16)
    rng = np.random.default_rng(1)
    starts = np.array([draw_place(rng, [made(labels)], (16, 16), foreground).start for _ in range(500)])
    assert set(starts[:, 0]) == {-3}
    assert starts[:, 1].min() == 0
    assert starts[:, 1].max() == 24


def test_a_case_without_foreground_still_gives_patches() -> None:
    place = draw_place(np.random.default_rng(0), [made(np.zeros((20, 20), np.int16))], (16, 16), 1.0)
    assert (place.start >= 0).all()


def ignoring(folder: Any, *label_maps: np.ndarray, **settings: Any) -> list[CachedCase]:
    folder.save(labels={"background": 0, "organ": 1, "ignore": 2}, **settings)
    for name, labels in zip("ab", label_maps, strict=False):
        folder.nifti(f"labelsTr/{name}.nii.gz", labels.astype(np.uint8))
        folder.nifti(f"imagesTr/{name}.nii.gz", np.zeros(labels.shape, np.float32))
    dataset = read_dataset(folder.root)
    return cache(dataset, dataset.cases[: len(label_maps)])


def scribbles(shape: tuple[int, ...], *kept: tuple[slice, ...], organ: tuple[slice, ...] | None = None) -> np.ndarray:
    """Labels that are ignored but in a few places."""
    labels = np.full(shape, 2)
    for place in kept:
        labels[place] = 0
    labels[organ or kept[0]] = 1
    return labels


ALL = slice(None)
HALF = scribbles((20, 16, 16), (slice(0, 10), ALL, ALL), organ=(slice(0, 3), slice(2, 9), slice(2, 9)))
SLICE = scribbles((20, 16, 16), (slice(12, 13), ALL, ALL), organ=(slice(12, 13), slice(0, 16), slice(4, 9)))
EDGE = scribbles((20, 16, 16), (slice(15, 16), slice(4, 13), slice(4, 13)), organ=(slice(0, 2), ALL, ALL))
SALTED = np.random.default_rng(0).integers(0, 3, (20, 16, 16))
LARGE = np.pad(scribbles((40, 24, 24), (slice(0, 30), ALL, ALL), organ=(slice(5, 9), ALL, ALL)), 1, constant_values=2)


@pytest.mark.parametrize("foreground", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("labels", [HALF, SLICE, LARGE, SALTED], ids=["half", "slice", "large", "salted"])
def test_no_patch_is_centred_on_an_ignored_voxel(folder: Any, labels: np.ndarray, foreground: float) -> None:
    (case,) = ignoring(folder, labels)
    rng = np.random.default_rng(0)
    starts = np.array([draw_place(rng, [case], (8, 8, 8), foreground).start for _ in range(300)])
    assert (starts >= 0).all() and (starts + 8 <= labels.shape).all()
    assert 2 not in labels[tuple((starts + 4).T)]
    assert len(np.unique(starts, axis=0)) > 20


@pytest.mark.parametrize("foreground", [0.0, 1.0])
def test_a_voxel_at_the_edge_is_seen_though_the_middle_of_its_patch_is_ignored(folder: Any, foreground: float) -> None:
    (case,) = ignoring(folder, EDGE)
    rng = np.random.default_rng(0)
    patches = [
        EDGE[tuple(slice(a, a + 8) for a in draw_place(rng, [case], (8, 8, 8), foreground).start)] for _ in range(200)
    ]
    assert all((patch != 2).any() for patch in patches)
    assert np.mean([(patch == 1).any() for patch in patches]) > 0.7
    assert any((patch == 0).any() for patch in patches) is (foreground == 0)


def test_an_image_smaller_than_the_patch_has_one_place_whatever_is_ignored(folder: Any) -> None:
    (case,) = ignoring(folder, scribbles((5, 6, 4), (slice(0, 1), ALL, ALL)))
    starts = {tuple(draw_place(np.random.default_rng(k), [case], (8, 8, 8), k % 2).start) for k in range(20)}
    assert starts == {(-2, -1, -2)}


def test_sampling_of_a_case_without_ignored_voxels_is_that_of_a_set_without_them(folder: Any) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (20, 16, 16))
    (ignored,) = ignoring(folder, labels)
    folder.save(labels={"background": 0, "organ": 1})
    dataset = read_dataset(folder.root)
    (plain,) = cache(dataset, dataset.cases[:1])
    assert ignored.counted is None and ignored.centres is None
    starts = [
        [draw_place(rng, [case], (8, 8, 8), 0.5).start.tolist() for _ in range(50)]
        for case, rng in ((ignored, np.random.default_rng(1)), (plain, np.random.default_rng(1)))
    ]
    assert starts[0] == starts[1]


def test_the_ignored_label_is_no_foreground_and_places_are_all_over_the_rest(folder: Any) -> None:
    (case,) = ignoring(folder, LARGE)
    assert len(case.foreground) == 1 and case.centres is not None and len(case.centres) == 10_000
    for voxels, kinds in ((case.foreground[0], {1}), (case.centres, {0, 1})):
        assert set(np.unique(LARGE[tuple(voxels.T)])) == kinds
    assert [len(np.unique(axis)) for axis in case.centres.T] == [30, 24, 24]


def test_cases_in_which_nothing_counts_are_left_out(folder: Any) -> None:
    nothing = np.full((20, 16, 16), 2)
    (case,) = ignoring(folder, nothing, HALF)
    assert case.name == "b"
    with pytest.raises(ValueError, match="every voxel of the 2 cases is ignored"):
        ignoring(folder, nothing, nothing)


def test_zeros_lie_outside_the_image() -> None:
    image = torch.arange(1.0, 13).reshape(1, 3, 4)
    box = cut(image, np.array([-1, 2]), (5, 4))
    expected = torch.zeros(1, 5, 4)
    expected[:, 1:4, :2] = image[:, :, 2:]
    assert torch.equal(box, expected)
