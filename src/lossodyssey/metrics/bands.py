"""Overlap of the bands of voxels along the inside of two boundaries."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from lossodyssey.metrics.masks import Mask, MaskPair, count
from lossodyssey.metrics.measure import measure
from lossodyssey.metrics.overlap import ratio


@measure("boundary_IoU", parameter="width in voxels, default 2 % of the image's diagonal")
def boundary_iou(pair: MaskPair, width: float | None = None) -> float:
    """Intersection over union of the voxels that `width` box erosions take off each mask; 0 when one mask is empty.

    Outside the image is background; the default width is 2 % of the image's diagonal in voxels, at least 1. Cheng et
    al. 2021. MetricsReloaded `boundary_iou` differs: its band is Euclidean and leaves out the distance `width` itself.
    """
    steps = default_width(pair.shape) if width is None else _whole(width)
    prediction, truth = _band(pair.prediction, steps), _band(pair.truth, steps)
    return ratio(count(prediction & truth), count(prediction | truth))


def default_width(shape: tuple[int, ...]) -> int:
    """Round 2 % of the image's diagonal to voxels, at least 1."""
    return max(1, round(0.02 * math.hypot(*shape)))


def _whole(width: float) -> int:
    # Half a voxel cannot be eroded, and rounding it would score another width than was asked for.
    if width < 1 or width != int(width):
        raise ValueError(f"width is {width}; expected a whole number of voxels, 1 or more")
    return int(width)


def _band(mask: Mask, width: int) -> Mask:
    # A box erosion is one minimum per axis, whose cost does not grow with the width; cval=0: outside is background.
    inside = mask.view(np.uint8)
    for axis in range(mask.ndim if mask.size else 0):
        inside = ndimage.minimum_filter1d(inside, 2 * width + 1, axis, mode="constant", cval=0)
    band: Mask = mask & (inside == 0)
    return band
