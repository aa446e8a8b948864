"""The objects of one class in one case: number, size, thickness, surface, and contrast at their border."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from lossodyssey.distance import euclidean
from lossodyssey.metrics.masks import foreground_box
from lossodyssey.metrics.surface import element_areas, neighbour_codes

Mask = NDArray[np.bool_]
BAND = 2.0  # voxels inside and outside of the border whose intensities are compared
MARGIN = 3


@dataclass(frozen=True)
class Objects:
    """Facts of a class in one case, as `ClassFacts` explains them; `contrast` is NaN where it cannot be computed."""

    voxels: int
    volume: float
    components: int
    component_volume: float
    radius: float
    compactness: float
    rim1: float
    rim2: float
    surface_to_volume: float
    contrast: float


def describe(mask: Mask, image: NDArray[np.float32], counts: Mask | None, spacing: tuple[float, ...]) -> Objects | None:
    """Describe where `mask` (*S) is true; None where it is nowhere.

    `image` is (C, *S); `counts` says which voxels are not ignored, None for all.
    """
    box = foreground_box(mask)
    if box[0].stop == 0:
        return None
    wide = tuple(slice(max(side.start - MARGIN, 0), side.stop + MARGIN) for side in box)
    # The image's edge is a border: a layer of background lies around it.
    own = np.pad(mask[wide], 1)
    steps, voxel = depth(own, None), math.prod(spacing)
    lengths = steps * spacing[0] if len(set(spacing)) == 1 else depth(own, spacing)
    numbers, pieces = ndimage.label(own, np.ones((3,) * own.ndim))
    sizes = np.bincount(numbers.ravel())[1:]
    radii = ndimage.maximum(lengths, numbers, np.arange(1, pieces + 1))
    inside = steps[own]
    return Objects(
        voxels=int(sizes.sum()),
        volume=float(sizes.sum() * voxel),
        components=int(pieces),
        component_volume=float(np.median(sizes) * voxel),
        radius=float(np.mean(radii)),
        compactness=float(np.average(radii / _ball(sizes * voxel, own.ndim), weights=sizes)),
        rim1=float(np.mean(inside <= 1)),
        rim2=float(np.mean(inside <= 2)),
        surface_to_volume=float(element_areas(spacing)[neighbour_codes(own)].sum() / (sizes.sum() * voxel)),
        contrast=_contrast(own, steps, image[(slice(None), *wide)], None if counts is None else counts[wide]),
    )


def _ball(volumes: NDArray[Any], dims: int) -> NDArray[np.float64]:
    """Return the radii of the balls (discs in 2D) of these volumes."""
    radii: NDArray[np.float64] = np.sqrt(volumes / np.pi) if dims == 2 else np.cbrt(volumes * 3 / (4 * np.pi))
    return radii


def depth(mask: Mask, spacing: tuple[float, ...] | None) -> NDArray[np.float32]:
    """Return the distance of every voxel inside to the nearest outside, in voxels or in the unit of `spacing`."""
    found: NDArray[np.float32] = euclidean(torch.from_numpy(mask)[None], spacing)[0].float().numpy()
    return found


def _contrast(own: Mask, steps: NDArray[np.float32], image: NDArray[Any], counts: Mask | None) -> float:
    """Compare the intensities of two thin bands along the border, in the channel where they differ most."""
    core = (slice(1, -1),) * own.ndim
    mask = own[core]
    inner = mask & (steps[core] <= BAND)
    outside = depth(~mask, None)
    outer = ~mask & (outside <= BAND) & (True if counts is None else counts)
    if not outer.any():
        return math.nan
    return float(max(_separation(channel[inner], channel[outer]) for channel in image))


def _separation(inner: NDArray[Any], outer: NDArray[Any]) -> float:
    noise = math.sqrt((float(inner.var(dtype=np.float64)) + float(outer.var(dtype=np.float64))) / 2)
    apart = abs(float(inner.mean(dtype=np.float64)) - float(outer.mean(dtype=np.float64)))
    return apart / noise if noise > 0 else math.nan
