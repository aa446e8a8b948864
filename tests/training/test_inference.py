"""Whole volumes come back whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lossodyssey.training.inference import segment
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
