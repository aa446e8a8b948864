"""Reading how much each voxel counts: one weight for all its classes, or one per channel where channels are regions."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossodyssey.core.arrays import extent, plain, signed
from lossodyssey.kernels import transformed


def read_weight(logits: Tensor, given: Any, *, sigmoid: bool) -> Tensor | None:
    """Return the weights as (N, 1, V), or (N, C, V) where each channel has its own; None when all count alike.

    Raises:
        ValueError: another shape, a negative or infinite weight, weights per channel of exclusive classes.
    """
    if given is None:
        return None
    weight = signed(plain("weight", given, like=logits))
    n, _, *space = logits.shape
    if weight.shape == (n, *space):
        weight = weight[:, None]
    _check_shape(logits, weight, sigmoid)
    if not transformed():
        _check_values(weight)
    if weight.shape[2:].numel() != 1:
        weight = weight.expand(-1, -1, *space)
    flat = weight.flatten(2)
    return flat.expand(n, -1, math.prod(space))


def _check_shape(logits: Tensor, weight: Tensor, sigmoid: bool) -> None:
    n, c, *space = logits.shape
    pairs = zip(weight.shape, logits.shape, strict=False)
    if weight.ndim != logits.ndim or any(size not in (1, full) for size, full in pairs):
        raise ValueError(
            f"weight has shape {tuple(weight.shape)}, expected one number per voxel, {(n, *space)} or {(n, 1, *space)}"
            f', or with link="sigmoid" one per channel, {(n, c, *space)} or {(n, c, *[1] * len(space))}'
        )
    if weight.shape[1] > 1 and not sigmoid:
        raise ValueError(
            f"weight {tuple(weight.shape)} has one number per channel, but under softmax a voxel has one class and "
            f'counts as a whole: give {(n, *space)}, link="sigmoid" if the channels are regions, or class_weights'
        )


def _check_values(weight: Tensor) -> None:
    low, high = (0.0, 1.0) if weight.dtype == torch.bool else extent(weight)
    if not (low >= 0 and high < math.inf):
        raise ValueError(f"weight holds values from {low:g} to {high:g}, expected finite numbers of 0 or more")
