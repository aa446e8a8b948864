"""Whole volumes come back whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lossodyssey.training.inference import segment, segment_with_probabilities
from lossodyssey.training.settings import Settings


class AboveMean(nn.Module):
    """Class 1 where the first channel is above the mean of its volume, which normalisation makes 0."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([-self.gain * images[:, 0], self.gain * images[:, 0]], dim=1)


@pytest.mark.parametrize("shape", [(40, 50), (7, 60), (9, 33, 21)])
def test_windows_cover_images_larger_and_smaller_than_the_patch(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(500, 20, (2, *shape)).astype(np.float32)
    labels = segment(AboveMean(), image, Settings(patch=(16,) * len(shape)))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, image[0] > image[0].mean(dtype=np.float64))


def steps(shape: tuple[int, ...]) -> np.ndarray:
    """An image whose first half is dark, with a border of zeros."""
    image = np.full((1, *shape), 20.0, np.float32)
    image[:, : shape[0] // 2] = 10
    return np.pad(image, ((0, 0), *((3, 5),) * len(shape)))


@pytest.mark.parametrize("regions", [False, True], ids=["classes", "regions"])
@pytest.mark.parametrize("shape", [(30, 41), (20, 18, 22)], ids=["2d", "3d"])
@pytest.mark.parametrize("spacing", [0.7, 1.0, 1.6], ids=["finer", "equal", "coarser"])
def test_labels_and_probabilities_lie_on_the_grid_of_the_case(
    shape: tuple[int, ...], spacing: float, regions: bool
) -> None:
    image, own = steps(shape), (spacing, *(1.0,) * (len(shape) - 1))
    settings = Settings(patch=(16,) * len(shape), spacing=(1.0,) * len(shape), crop=True)
    written = (1, 2) if regions else ()
    labels, probabilities = segment_with_probabilities(AboveMean(), image, settings, written, own)
    np.testing.assert_array_equal(labels, segment(AboveMean(), image, settings, written, own))
    assert labels.shape == image.shape[1:] and probabilities.shape == (2, *image.shape[1:])

    # Channel 0 of the network is sure of the dark half, channel 1 of the other one.
    kept = labels[(slice(3, -5),) * len(shape)]
    half = shape[0] // 2
    dark, bright = (1, 2) if regions else (0, 1)
    assert (kept[: half - 1] == dark).all() and (kept[half + 1 :] == bright).all()
    border = labels.copy()
    border[(slice(3, -5),) * len(shape)] = 0
    assert not border.any()
    outside = probabilities[(slice(None), 0)]
    np.testing.assert_allclose(outside[0], 0 if regions else 1, atol=1e-6)
    np.testing.assert_allclose(outside[1], 0, atol=1e-6)


def test_resampling_asks_for_the_spacing_of_the_image() -> None:
    with pytest.raises(ValueError, match="spacing is None; expected that of the image"):
        segment(AboveMean(), steps((20, 20)), Settings(patch=(16, 16), spacing=(1.0, 1.0)))


def test_ct_is_scaled_by_the_set() -> None:
    image = np.random.default_rng(0).normal(0, 100, (1, 24, 24)).astype(np.float32)
    settings = Settings(patch=(16, 16), intensity="ct", intensities=((-150.0, 150.0, 60.0, 30.0),))
    np.testing.assert_array_equal(segment(AboveMean(), image, settings), image[0] > 60)
