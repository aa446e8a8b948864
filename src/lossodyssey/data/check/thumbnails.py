"""Small pictures of cases, by which thousands of them are compared with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float32]

SIDE = {2: 32, 3: 16}
"""Pixels along an axis of a thumbnail by which near duplicates are told."""


def shrink(values: Array, side: int) -> Array:
    """Average blocks, so that every axis has `side` values; a shorter axis repeats some of its own."""
    for axis, size in enumerate(values.shape):
        if size < side:
            values = values.take(((np.arange(side) + 0.5) * size / side).astype(int), axis)
        else:
            values = _block_means(values, axis, side)
    return values


def _block_means(values: Array, axis: int, side: int) -> Array:
    # Whole pixels at the blocks' rounded edges, as the box filter of Pillow takes them.
    edges = np.floor(np.arange(side + 1) * values.shape[axis] / side + 0.5).astype(int)
    widths = np.diff(edges).reshape([-1 if k == axis else 1 for k in range(values.ndim)])
    means: Array = np.add.reduceat(values, edges[:-1], axis=axis, dtype=np.float64) / widths
    return means


def limited(values: Array, most: int) -> Array:
    """Average pairs, triples, ... of neighbours along axes that have more than `most` values; sizes stay alike."""
    for axis, size in enumerate(values.shape):
        if size > most:
            values = _block_means(values, axis, -(-size // -(-size // most)))
    return values


def standardised(values: Array) -> Array:
    """Return the values with mean 0 and length 1, flat; zeros where all values are equal."""
    flat = np.asarray(values, np.float64).ravel()
    # By the extremes: rounding would leave equal values a mean that is not quite theirs.
    flat = flat - flat.mean() if flat.min() < flat.max() else np.zeros_like(flat)
    return flat / np.linalg.norm(flat) if flat.any() else flat


def thumbnail(image: Array, whole: bool) -> Floats:
    """Return the thumbnail of an image (C, *S): its channels are standardised, averaged, and standardised again.

    The product of two thumbnails is their correlation, whatever the brightness and contrast of their images. Means of
    `whole` numbers are rounded, as in a small picture of the same type.
    """
    side = SIDE[image.ndim - 1]
    small = [shrink(channel, side) for channel in image]
    channels = [standardised(np.rint(own) if whole else own) for own in small]
    return standardised(np.mean(channels, axis=0)).astype(np.float32)
