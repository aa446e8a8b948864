"""The grid and the grey values that a network sees, and the way from its output back to the case's own grid.

The order is nnU-Net's: crop to the voxels that are not zero, normalise, resample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossodyssey.data.intensity import Intensities, normalise
from lossodyssey.data.resampling import (
    resample_image,
    resample_labels,
    resample_linear,
    resampled_shape,
    separate_axis,
)
from lossodyssey.data.volumes import Volume

CERTAIN = 100.0
"""Logit of the background where a case was cropped; its probability is 1 in float32."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The choices of preprocessing, with the numbers that the training cases decided.

    `spacing` in mm along the array's axes, None keeps each case's own grid; see `Intensities`; `crop` leaves out the
    border in which all channels are 0.
    """

    spacing: tuple[float, ...] | None = None
    intensities: Intensities = ()
    crop: bool = False

    @property
    def moves_voxels(self) -> bool:
        """Whether a case may get another grid."""
        return self.spacing is not None or self.crop


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of a prepared grid in a case: the `box` that was kept of `whole`, resampled to `shape`.

    `spacing` is that of the prepared grid; along `axis` slices were taken as they are.
    """

    whole: tuple[int, ...]
    box: tuple[slice, ...]
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    axis: int | None

    @property
    def kept(self) -> tuple[int, ...]:
        """The shape of the box."""
        return tuple(side.stop - side.start for side in self.box)


def check_sized(volume: Volume, path: Path) -> None:
    """Raise ValueError for an image that is to be resampled while the size of its pixels is not known."""
    if not volume.sized:
        raise ValueError(
            f"{path}: nobody says how large its pixels are, and the setting spacing resamples them; expected 'spacing' "
            "in mm in dataset.json or in a .json file beside the image, or spacing: original"
        )


def frame_of(image: NDArray[np.float32], spacing: Sequence[float], preprocessing: Preprocessing) -> Frame:
    """Return where the prepared grid of `image` (channels, *S) lies.

    Raises:
        ValueError: the image has other axes than the spacing that it is to be resampled to.
    """
    whole = image.shape[1:]
    target = preprocessing.spacing or tuple(spacing)
    if not len(whole) == len(spacing) == len(target):
        raise ValueError(f"spacing is {target} mm; expected one number for each of the {len(whole)} axes of the image")
    box = _box(image) if preprocessing.crop else tuple(slice(0, size) for size in whole)
    kept = tuple(side.stop - side.start for side in box)
    shape = resampled_shape(kept, spacing, target)
    # The extent is kept to the last digit, so the voxels are as large as it says.
    own = tuple(size * (old / new) for size, old, new in zip(spacing, kept, shape, strict=True))
    return Frame(whole, box, shape, own, separate_axis(spacing, target))


def _box(image: NDArray[np.float32]) -> tuple[slice, ...]:
    """Return the smallest box that holds every voxel with a channel that is not 0; the whole of an empty image."""
    filled = (image != 0).any(0)
    box = []
    for axis, size in enumerate(filled.shape):
        found = np.flatnonzero(filled.any(tuple(other for other in range(filled.ndim) if other != axis)))
        box.append(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, size))
    return tuple(box)


def prepare_image(image: NDArray[np.float32], frame: Frame, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Crop, normalise and resample `image` (channels, *S)."""
    kept = image[(slice(None), *frame.box)]
    return resample_image(normalise(kept, preprocessing.intensities), frame.shape, frame.axis)


def prepare_labels(labels: NDArray[np.integer[Any]], frame: Frame) -> NDArray[np.integer[Any]]:
    """Crop and resample `labels` (*S)."""
    return resample_labels(labels[frame.box], frame.shape, frame.axis)


def restore(logits: Tensor, frame: Frame, *, regions: bool) -> Tensor:
    """Resample `logits` (C, *P) of the prepared grid to the case's own, (C, *S); what was cropped is background."""
    if frame.shape == frame.whole == frame.kept:
        return logits
    restored = logits.new_full((len(logits), *frame.whole), -CERTAIN if regions else 0.0, dtype=torch.float32)
    if not regions:
        restored[0] = CERTAIN
    # One class at a time: all of them at once would need twice the memory of the result.
    for number, each in enumerate(logits):
        restored[number][frame.box] = resample_linear(each.float(), frame.kept, frame.axis)
    return restored
