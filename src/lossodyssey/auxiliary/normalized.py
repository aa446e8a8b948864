"""Distances divided by a length of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Normalize = Literal["max", "diagonal"] | None
"""Divide a distance map by its largest value per sample and class, by the image's diagonal, or not at all."""


def normalized(distances: Tensor, spacing: Sequence[float] | None, normalize: Normalize) -> Tensor:
    """Return distances (N, C, *S) divided as `normalize` says; a map of zeros stays."""
    if normalize is None:
        return distances
    if normalize == "diagonal":
        steps = spacing or [1.0] * (distances.ndim - 2)
        return distances / math.hypot(*(n * step for n, step in zip(distances.shape[2:], steps, strict=True)))
    largest = per_map(distances.abs().flatten(2).amax(2), distances)
    return distances / torch.where(largest > 0, largest, 1)


def per_map(values: Tensor, like: Tensor) -> Tensor:
    """Return values (N, C), one for each map, with the axes of the maps."""
    return values.reshape(*values.shape, *[1] * (like.ndim - 2))
