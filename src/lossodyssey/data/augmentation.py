"""Augmentation of one batch: parameters are drawn first, then applied as batched tensor operations.

Cut, rotation, scale, flip and elastic deformation are one resampling per batch; intensity changes follow on the same
device. Ranges follow nnU-Net's (Isensee et al. 2021, supplementary note 4), rotations are smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from lossodyssey.data.deformation import Deformation, displacement, draw_deformation, reach_of
from lossodyssey.data.patches import CachedCase, Place, cut, draw_place

ANGLE = np.pi / 12
SCALE = (0.85, 1.2)
SPATIAL_PROBABILITY = 0.3
INTENSITY_PROBABILITY = 0.2


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything random about one batch of N patches.

    `matrices` (N, D, D) take voxel offsets from the patch centre to voxel offsets in the case;
    `brightness`, `contrast`, `gamma` and `noise` (N,) are 0, 1, 1 and 0 where nothing changes. `elastic` holds the
    deformation of each patch, None where it is not deformed, and is empty where none is.
    """

    places: tuple[Place, ...]
    matrices: NDArray[np.float64]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    gamma: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_seed: int
    elastic: tuple[Deformation | None, ...] = ()


def draw(
    rng: np.random.Generator,
    cases: Sequence[CachedCase],
    *,
    batch: int,
    patch: Sequence[int],
    foreground: float,
    flip_axes: Sequence[int],
    elastic: float = 0.0,
) -> Parameters:
    """Draw the parameters of one batch; the same state of `rng` gives the same parameters.

    A patch is deformed with probability `elastic`, which changes no other parameter.
    """
    # All that is random is drawn here, before any tensor: the batch is a function of the generator's state alone.
    places = tuple(draw_place(rng, cases, patch, foreground) for _ in range(batch))
    rigid = Parameters(
        places=places,
        matrices=np.stack([_draw_matrix(rng, cases[place.case].spacing, flip_axes) for place in places]),
        brightness=_sometimes(rng, batch, 0, rng.uniform(-0.3, 0.3, batch)),
        contrast=_sometimes(rng, batch, 1, rng.uniform(0.75, 1.25, batch)),
        gamma=_sometimes(rng, batch, 1, rng.uniform(0.7, 1.5, batch)),
        noise=_sometimes(rng, batch, 0, rng.uniform(0, 0.3, batch)),
        noise_seed=int(rng.integers(2**62)),
    )
    if not elastic:
        return rigid
    # After all the others, which are then those of a run without it.
    drawn = tuple(draw_deformation(rng, patch, cases[place.case].spacing, elastic) for place in places)
    return replace(rigid, elastic=drawn if any(drawn) else ())


def _sometimes(
    rng: np.random.Generator, batch: int, neutral: float, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.where(rng.random(batch) < INTENSITY_PROBABILITY, values, neutral)


def _draw_matrix(rng: np.random.Generator, spacing: Sequence[float], flip_axes: Sequence[int]) -> NDArray[np.float64]:
    dimensions = len(spacing)
    rotate, scale = rng.random(2) < SPATIAL_PROBABILITY
    matrix = np.eye(dimensions)
    # Without rotation the angle is 0, but it is still drawn.
    for first in range(dimensions):
        for second in range(first + 1, dimensions):
            matrix = matrix @ _rotation(dimensions, first, second, rotate * rng.uniform(-ANGLE, ANGLE))
    matrix *= rng.uniform(*SCALE) if scale else 1
    for axis in flip_axes:
        matrix[:, axis] *= rng.choice((-1, 1))
    # Rotation and scale act in mm: voxels -> mm, turn, mm -> voxels of the case.
    scaled: NDArray[np.float64] = matrix * np.array(spacing) / np.array(spacing)[:, None]
    return scaled


def _rotation(dimensions: int, first: int, second: int, angle: float) -> NDArray[np.float64]:
    rotation = np.eye(dimensions)
    rotation[[first, second], [first, second]] = np.cos(angle)
    rotation[first, second], rotation[second, first] = -np.sin(angle), np.sin(angle)
    return rotation


def apply(
    parameters: Parameters, cases: Sequence[CachedCase], patch: Sequence[int], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Make the batch: images float32 (N, channels, *patch) and labels int64 (N, *patch).

    They lie on `device`, else on that of the first case.
    """
    images, labels = _resample(parameters, cases, patch, device)
    return _change_intensity(images, parameters), labels


def leave(
    parameters: Parameters, cases: Sequence[CachedCase], patch: Sequence[int], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Make the batch of the same places as `apply` does, without any change of the patches."""
    images, labels = _cut(parameters.places, cases, np.zeros(len(patch), np.int64), patch, device)
    return images, labels[:, 0].long()


def _cut(
    places: Sequence[Place],
    cases: Sequence[CachedCase],
    margin: NDArray[np.int64],
    box: Sequence[int],
    device: torch.device | None,
) -> tuple[Tensor, Tensor]:
    """Cut images and labels (N, channels, *box) that begin `margin` before their places."""
    device = device or cases[0].image.device
    images = [_moved(cut(cases[place.case].image, place.start - margin, box), device) for place in places]
    labels = [_moved(cut(cases[place.case].labels[None], place.start - margin, box), device) for place in places]
    return torch.stack(images), torch.stack(labels)


def _moved(piece: Tensor, device: torch.device) -> Tensor:
    """Move a piece of a case to the device, from where the processor need not wait for the copy."""
    if piece.device == device or device.type != "cuda":
        return piece.to(device)
    return piece.contiguous().pin_memory().to(device, non_blocking=True)


def _resample(
    parameters: Parameters, cases: Sequence[CachedCase], patch: Sequence[int], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    # Only a box around the patch is resampled: the cost does not grow with the size of the case.
    box = _box(parameters.matrices, patch, parameters.elastic)
    margin = (np.array(box) - np.array(patch)) // 2
    images, labels = _cut(parameters.places, cases, margin, box, device)

    # One grid for both; labels take the nearest voxel, since a mean of two class numbers is a third class.
    theta = _theta(parameters.matrices, patch, box).to(images)
    grid = affine_grid(theta, [len(theta), 1, *patch], align_corners=False)
    if parameters.elastic:
        grid = grid + displacement(parameters.elastic, patch, box).to(grid)
    images = grid_sample(images, grid, mode="bilinear", align_corners=False)
    labels = grid_sample(labels.to(images.dtype), grid, mode="nearest", align_corners=False)
    return images, labels[:, 0].long()


def _box(
    matrices: NDArray[np.float64], patch: Sequence[int], elastic: Sequence[Deformation | None] = ()
) -> tuple[int, ...]:
    """Compute the smallest box that holds every transformed patch of the batch and shares the patch's centre."""
    reach = (np.abs(matrices) @ np.array(patch)).max(axis=0) + 2 * reach_of(elastic, len(patch))
    # 2 x a whole number keeps the centre; + 1 leaves a voxel for the interpolation at the rim.
    return tuple(int(size + 2 * np.ceil((extent - size) / 2 + 1)) for extent, size in zip(reach, patch, strict=True))


def _theta(matrices: NDArray[np.float64], patch: Sequence[int], box: Sequence[int]) -> Tensor:
    """Return matrices (N, D, D + 1) for `affine_grid`, which counts axes backwards and in half sizes."""
    scaled = matrices * np.array(patch) / np.array(box)[:, None]
    return torch.from_numpy(np.pad(scaled[:, ::-1, ::-1], ((0, 0), (0, 0), (0, 1))))


def _change_intensity(images: Tensor, parameters: Parameters) -> Tensor:
    axes = tuple(range(2, images.ndim))
    per_sample = (-1, *(1,) * (images.ndim - 1))

    def column(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).to(images).reshape(per_sample)

    # Gamma needs values in [0, 1]; afterwards the range is as before, so that only the middle tones move.
    low, high = images.amin(axes, keepdim=True), images.amax(axes, keepdim=True)
    extent = (high - low).clamp_min(1e-6)
    images = ((images - low) / extent) ** column(parameters.gamma) * extent + low

    mean = images.mean(axes, keepdim=True)
    images = (images - mean) * column(parameters.contrast) + mean + column(parameters.brightness)

    # A generator of its own: noise is equal for every loss, whatever else draws random numbers.
    generator = torch.Generator(images.device).manual_seed(parameters.noise_seed)
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + noise * column(parameters.noise)
