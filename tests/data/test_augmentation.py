"""Augmentation: drawn first, applied after, and geometrically right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from lossodyssey.data import augmentation
from lossodyssey.data.augmentation import Parameters, apply, draw
from lossodyssey.data.patches import CachedCase, Place

SHAPES = [(20, 24), (20, 24, 18)]


def made(shape: Sequence[int], channels: int = 1, spacing: tuple[float, ...] | None = None) -> CachedCase:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, shape).astype(np.int16)
    image = torch.from_numpy(rng.normal(size=(channels, *shape)).astype(np.float32))
    foreground = tuple(np.argwhere(labels == number) for number in (1, 2))
    return CachedCase("made", image, torch.from_numpy(labels), spacing or (1.0,) * len(shape), foreground)


def still(start: Sequence[int], matrix: np.ndarray) -> Parameters:
    """Parameters that move one patch by `matrix` and leave intensities alone."""
    one = np.ones(1)
    return Parameters((Place(0, np.array(start)),), matrix[None], 0 * one, one, one, 0 * one, 0)


def drawn(seed: int, case: CachedCase, flip_axes: Sequence[int] = (), batch: int = 2) -> Parameters:
    patch = (16,) * len(case.spacing)
    rng = np.random.default_rng(seed)
    return draw(rng, [case], batch=batch, patch=patch, foreground=0.33, flip_axes=flip_axes)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_changes_the_patch_is_a_piece_of_the_image(shape: tuple[int, ...]) -> None:
    case = made(shape, channels=2)
    start = (3, 8, 2)[: len(shape)]
    images, labels = apply(still(start, np.eye(len(shape))), [case], (16,) * len(shape))
    piece = tuple(slice(first, first + 16) for first in start)
    torch.testing.assert_close(images[0], case.image[(slice(None), *piece)], atol=2e-5, rtol=1e-5)
    assert torch.equal(labels[0], case.labels[piece].long())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_mirrors_one_axis(axis: int) -> None:
    case = made((16, 16, 16))
    matrix = np.eye(3)
    matrix[axis, axis] = -1
    images, labels = apply(still((0, 0, 0), matrix), [case], (16, 16, 16))
    assert torch.equal(labels[0], case.labels.flip(axis).long())
    torch.testing.assert_close(images[0], case.image.flip(axis + 1), atol=2e-5, rtol=1e-5)


def test_a_quarter_turn_turns() -> None:
    case = made((16, 16))
    _, labels = apply(still((0, 0), np.array([[0.0, -1.0], [1.0, 0.0]])), [case], (16, 16))
    assert torch.equal(labels[0], torch.rot90(case.labels, 3).long())


def test_flips_happen_along_the_allowed_axes_only() -> None:
    case = made(SHAPES[1])
    signs = np.concatenate([np.sign(drawn(seed, case, (0,)).matrices.diagonal(0, 1, 2)) for seed in range(40)])
    assert set(signs[:, 0]) == {-1, 1}
    assert (signs[:, 1:] == 1).all()


def test_rotations_keep_lengths_in_millimetres() -> None:
    spacing = (1.0, 1.0, 5.0)
    matrices = [drawn(seed, made(SHAPES[1], spacing=spacing), batch=1).matrices[0] for seed in range(60)]
    for matrix in matrices:
        world = np.diag(spacing) @ matrix @ np.diag(1 / np.array(spacing))
        scale = np.cbrt(np.linalg.det(world))
        np.testing.assert_allclose(world @ world.T, scale**2 * np.eye(3), atol=1e-12)
        assert augmentation.SCALE[0] <= scale <= augmentation.SCALE[1]
    assert any(np.abs(matrix - np.diag(np.diag(matrix))).max() > 0.05 for matrix in matrices)


def test_transformed_patches_do_not_run_out_of_image() -> None:
    case = replace(made((64, 64, 64)), image=torch.ones(1, 64, 64, 64))
    for seed in range(20):
        parameters = replace(drawn(seed, case), places=(Place(0, np.array([24, 24, 24])),) * 2)
        images, _ = augmentation._resample(parameters, [case], (16, 16, 16))
        torch.testing.assert_close(images, torch.ones_like(images), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_seeds_give_equal_batches_and_others_differ(shape: tuple[int, ...]) -> None:
    case, patch = made(shape), (16,) * len(shape)
    first, again, other = (apply(drawn(seed, case), [case], patch) for seed in (5, 5, 6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_labels_stay_labels() -> None:
    case = made(SHAPES[1])
    for seed in range(20):
        _, labels = apply(drawn(seed, case), [case], (16, 16, 16))
        assert labels.dtype == torch.int64
        assert set(labels.unique().tolist()) <= {0, 1, 2}


def test_intensity_changes_do_what_they_say() -> None:
    case = made((16, 16))
    plain = still((0, 0), np.eye(2))
    before = apply(plain, [case], (16, 16))[0]
    brighter = apply(replace(plain, brightness=np.array([0.25])), [case], (16, 16))[0]
    torch.testing.assert_close(brighter, before + 0.25, atol=1e-5, rtol=1e-5)
    flatter = apply(replace(plain, contrast=np.array([0.5])), [case], (16, 16))[0]
    torch.testing.assert_close(flatter.std(), before.std() / 2)
    torch.testing.assert_close(flatter.mean(), before.mean())
    bent = apply(replace(plain, gamma=np.array([1.5])), [case], (16, 16))[0]
    torch.testing.assert_close(torch.stack([bent.min(), bent.max()]), torch.stack([before.min(), before.max()]))
    assert bent.mean() < before.mean()
    noisy = apply(replace(plain, noise=np.array([0.1])), [case], (16, 16))[0]
    assert 0.08 < float((noisy - before).std()) < 0.12
