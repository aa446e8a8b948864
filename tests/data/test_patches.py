"""Cached cases and where patches come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lossodyssey.data import read_dataset
from lossodyssey.data.patches import CachedCase, cache, cut, draw_place, normalise, patch_shape


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


def test_zeros_lie_outside_the_image() -> None:
    image = torch.arange(1.0, 13).reshape(1, 3, 4)
    box = cut(image, np.array([-1, 2]), (5, 4))
    expected = torch.zeros(1, 5, 4)
    expected[:, 1:4, :2] = image[:, :, 2:]
    assert torch.equal(box, expected)
