"""Grey values on a common scale: each case by its own, or CT by the data set's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Intensities = tuple[tuple[float, ...], ...]
"""For each channel low, high, mean and deviation of the data set, or nothing where each case has its own."""

PERCENTILES = (0.5, 99.5)
LEAST_DEVIATION = 1e-8


def normalise(image: NDArray[np.float32], intensities: Intensities = ()) -> NDArray[np.float32]:
    """Shift and scale every channel of `image` (channels, *S) to mean 0 and deviation 1; a flat one becomes 0.

    Channels with `intensities` are clipped to low and high, and take mean and deviation from there.
    """
    if not any(intensities):
        return _by_case(image)
    pairs = zip(image, intensities, strict=True)
    return np.concatenate([_by_set(channel, *row) if row else _by_case(channel[None]) for channel, row in pairs])


def _by_case(image: NDArray[np.float32]) -> NDArray[np.float32]:
    # float64 accumulators: float32 sums over 10^8 voxels lose digits.
    axes = tuple(range(1, image.ndim))
    mean = image.mean(axes, keepdims=True, dtype=np.float64)
    deviation = image.std(axes, keepdims=True, dtype=np.float64)
    shifted = image - mean
    shifted /= np.where(deviation > 0, deviation, 1)
    scaled: NDArray[np.float32] = shifted.astype(np.float32)
    return scaled


def _by_set(
    channel: NDArray[np.float32], low: float, high: float, mean: float, deviation: float
) -> NDArray[np.float32]:
    clipped = np.clip(channel, np.float32(low), np.float32(high))
    scaled: NDArray[np.float32] = (clipped - np.float32(mean)) / np.float32(max(deviation, LEAST_DEVIATION))
    return scaled[None]


def is_ct(channel: str) -> bool:
    """Return whether a channel's name says CT, as nnU-Net reads it."""
    return channel.strip().casefold() == "ct"


def summarise(samples: Sequence[NDArray[np.float32]]) -> tuple[float, ...]:
    """Return low, high, mean and deviation of a channel from foreground values of the cases."""
    values = np.concatenate(samples).astype(np.float64)
    low, high = np.percentile(values, PERCENTILES)
    # Six digits are more than the sample knows, and can be read in a record.
    return tuple(float(f"{number:.6g}") for number in (low, high, values.mean(), values.std()))
