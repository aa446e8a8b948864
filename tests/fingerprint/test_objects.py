"""Shapes whose sizes are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossodyssey.fingerprint.objects import Objects, describe


def ball(shape: tuple[int, ...], radius: float, spacing: tuple[float, ...]) -> np.ndarray:
    axes = np.meshgrid(*(np.arange(size) - size // 2 for size in shape), indexing="ij")
    return sum((axis * step) ** 2 for axis, step in zip(axes, spacing, strict=True)) <= radius**2


def seen(mask: np.ndarray, spacing: tuple[float, ...] | None = None, image: np.ndarray | None = None) -> Objects:
    picture = np.zeros((1, *mask.shape), np.float32) if image is None else image
    found = describe(mask, picture, None, spacing or (1.0,) * mask.ndim)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("shape", "spacing", "radius"),
    [((61, 61), (1.0, 1.0), 20.0), ((41, 41, 41), (1.0, 1.0, 1.0), 15.0), ((81, 81, 41), (0.5, 0.5, 1.0), 15.0)],
    ids=["disc", "ball", "anisotropic"],
)
def test_a_ball(shape: tuple[int, ...], spacing: tuple[float, ...], radius: float) -> None:
    found = seen(ball(shape, radius, spacing), spacing)
    exact = math.pi * radius**2 if len(shape) == 2 else 4 / 3 * math.pi * radius**3
    assert found.volume == pytest.approx(exact, rel=0.03) and found.components == 1
    assert found.radius == pytest.approx(radius, abs=1.1)
    assert found.compactness == pytest.approx(1, abs=0.06)
    assert found.surface_to_volume == pytest.approx(len(shape) / radius, rel=0.15)


def test_a_line_is_all_rim_and_far_from_a_ball() -> None:
    mask = np.zeros((40, 60), bool)
    mask[20, 5:55] = True
    found = seen(mask)
    assert (found.rim1, found.rim2, found.radius) == (1, 1, 1)
    assert found.compactness == pytest.approx(1 / math.sqrt(50 / math.pi))


def test_a_square_has_a_rim_that_is_counted_by_hand() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    found = seen(mask)
    assert found.rim1 == pytest.approx(36 / 100) and found.rim2 == pytest.approx(64 / 100)
    assert found.radius == 5 and found.voxels == 100


def test_pieces_are_joined_by_corners_and_counted() -> None:
    mask = np.zeros((12, 12), bool)
    mask[1, 1] = mask[2, 2] = True
    mask[6:9, 6:9] = True
    mask[11, 0] = True
    found = seen(mask, (2.0, 0.5))
    assert found.components == 3 and found.component_volume == 2 and found.volume == 12


def test_an_object_at_the_edge_of_the_image_ends_there() -> None:
    full = seen(np.ones((9, 9), bool))
    assert full.radius == 5 and full.rim1 == pytest.approx(32 / 81) and math.isnan(full.contrast)


@pytest.mark.parametrize("shift", [4.0, -4.0])
def test_contrast_is_the_difference_over_the_noise(shift: float) -> None:
    rng = np.random.default_rng(0)
    mask = ball((120, 120), 40, (1.0, 1.0))
    plain = rng.normal(size=mask.shape)
    image = np.stack([plain, plain + shift * mask]).astype(np.float32)
    assert seen(mask, image=image).contrast == pytest.approx(4, rel=0.1)
    assert seen(mask, image=image[:1]).contrast < 0.3


def test_ignored_voxels_are_left_out_of_the_contrast() -> None:
    mask = ball((60, 60), 15, (1.0, 1.0))
    image = np.random.default_rng(0).normal(size=(1, 60, 60)).astype(np.float32)
    counts = ~ball((60, 60), 18, (1.0, 1.0)) | mask
    found = describe(mask, image, counts, (1.0, 1.0))
    assert found is not None and math.isnan(found.contrast)


def test_nothing_is_none() -> None:
    assert describe(np.zeros((5, 5), bool), np.zeros((1, 5, 5), np.float32), None, (1.0, 1.0)) is None
