"""Augmentation: drawn first, applied after, and geometrically right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from lossodyssey.data import augmentation
from lossodyssey.data.augmentation import Parameters, apply, draw
from lossodyssey.data.deformation import REACH, Deformation, displacement, draw_deformation
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


def deformed(seed: int, patch: tuple[int, ...], spacing: tuple[float, ...], probability: float = 1.0) -> Deformation:
    drawn = draw_deformation(np.random.default_rng(seed), patch, spacing, probability)
    assert drawn is not None
    return drawn


def voxels(field: torch.Tensor, box: Sequence[int]) -> np.ndarray:
    """The displacement in voxels, (*patch, D) in the order of the axes."""
    return field.flip(-1).numpy() * np.array(box) / 2


def test_elastic_deformation_changes_no_other_parameter() -> None:
    case = made(SHAPES[1])
    for seed in range(10):
        rng = np.random.default_rng(seed)
        parameters = draw(rng, [case], batch=2, patch=(16, 16, 16), foreground=0.33, flip_axes=(), elastic=0.5)
        plain = drawn(seed, case)
        assert plain.elastic == () and plain.noise_seed == parameters.noise_seed
        for name in ("matrices", "brightness", "contrast", "gamma", "noise"):
            np.testing.assert_array_equal(getattr(plain, name), getattr(parameters, name))


@pytest.mark.parametrize("patch", [(64, 64), (48, 64, 40)], ids=["2d", "3d"])
def test_a_displacement_is_smooth_and_as_large_as_it_says(patch: tuple[int, ...]) -> None:
    fields = []
    for seed in range(30):
        drawn = replace(deformed(seed, patch, (1.0,) * len(patch)), deviation=(2.0,) * len(patch))
        fields.append(voxels(displacement((drawn,), patch, patch)[0], patch))
    found = np.stack(fields)
    assert 1.7 < found.std() < 2.3 and abs(found.mean()) < 0.3
    assert np.abs(found).max() <= 2 * REACH * (1 + 1e-6)
    for axis in range(1, len(patch) + 1):
        assert np.abs(np.diff(found, axis=axis)).max() < 1  # no voxel passes its neighbour
        # Neighbours within the width of the Gaussian move together, voxels far from each other do not.
        near, far = (np.mean(found.take(0, axis) * found.take(gap, axis)) / found.var() for gap in (3, 39))
        assert near > 0.8 and abs(far) < 0.5


def test_a_displacement_is_alike_along_all_axes_in_millimetres() -> None:
    drawn = deformed(0, (64, 64, 16), (1.0, 1.0, 4.0))
    assert drawn.sigma[0] == drawn.sigma[1] == 4 * drawn.sigma[2]
    assert drawn.deviation[0] == 4 * drawn.deviation[2]


def test_a_displacement_moves_what_the_patch_shows() -> None:
    case = made((40, 40))
    knots = np.zeros((2, 9, 9), np.float32)
    plain = still((12, 12), np.eye(2))
    whole = Deformation(knots, (11.0, 11.0), (1.0, 1.0))
    same = apply(replace(plain, elastic=(whole,)), [case], (16, 16))
    assert torch.equal(same[1], apply(plain, [case], (16, 16))[1])
    # Far beyond the limit the field is cut off at it everywhere: 3 voxels along the second axis.
    knots = np.stack([knots[0], np.full_like(knots[1], 100)])
    shift = replace(plain, elastic=(replace(whole, knots=knots),))
    images, labels = apply(shift, [case], (16, 16))
    middle = (slice(2, 14), slice(2, 14))
    assert torch.equal(labels[0][middle], case.labels[14:26, 17:29].long())
    torch.testing.assert_close(images[0, 0][middle], case.image[0, 14:26, 17:29], atol=1e-3, rtol=1e-3)


def test_deformed_patches_do_not_run_out_of_image() -> None:
    case = replace(made((64, 64, 64)), image=torch.ones(1, 64, 64, 64))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        parameters = draw(rng, [case], batch=2, patch=(16, 16, 16), foreground=0.0, flip_axes=(), elastic=1.0)
        parameters = replace(parameters, places=(Place(0, np.array([24, 24, 24])),) * 2)
        images, labels = augmentation._resample(parameters, [case], (16, 16, 16))
        torch.testing.assert_close(images, torch.ones_like(images), atol=1e-4, rtol=0)
        assert set(labels.unique().tolist()) <= {0, 1, 2}


def test_a_share_of_the_patches_is_deformed_and_equal_seeds_give_equal_ones() -> None:
    case = made(SHAPES[0])
    batches = [
        draw(np.random.default_rng(seed), [case], batch=8, patch=(16, 16), foreground=0, flip_axes=(), elastic=0.2)
        for seed in [*range(60), 0]
    ]
    share = np.mean([[each is not None for each in batch.elastic or (None,) * 8] for batch in batches[:60]])
    assert 0.15 < share < 0.25
    first, again = (apply(batch, [case], (16, 16)) for batch in (batches[0], batches[-1]))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
