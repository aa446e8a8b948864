"""Reading the entries of a context against logits (N, C, *S): spacing, image, annotated classes, auxiliary values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lossodyssey.core.arrays import plain
from lossodyssey.core.context import Context
from lossodyssey.kernels import transformed

Steps = tuple[float, ...] | Tensor | None
"""A spacing as it was checked: one for all samples (D,), one per sample (N, D), or voxels."""


def read_spacing(spacing: Any, logits: Tensor) -> Steps:
    """Return the spacing as floats, one per spatial axis; as a tensor (N, D) where samples differ.

    Raises:
        ValueError: not one positive number per spatial axis, or rows for another number of samples.
    """
    if spacing is None:
        return None
    if isinstance(spacing, Tensor) and transformed():
        return spacing.double().expand(len(logits), logits.ndim - 2)
    given = spacing.tolist() if hasattr(spacing, "tolist") else spacing
    items = list(given) if isinstance(given, Iterable) else [given]
    if not items or not isinstance(items[0], Iterable):
        return _one_spacing(items, logits)
    rows = [_one_spacing(row, logits) for row in items]
    if len(rows) != len(logits):
        raise ValueError(f"spacing has {len(rows)} rows, expected one for each of the {len(logits)} samples")
    # Equal rows are one spacing: maps are then made for all samples at once.
    return rows[0] if len(set(rows)) == 1 else torch.tensor(rows, dtype=torch.float64)


def _one_spacing(given: Any, logits: Tensor) -> tuple[float, ...]:
    numbers = tuple(float(step) for step in given)
    if len(numbers) != logits.ndim - 2 or not all(math.isfinite(step) and step > 0 for step in numbers):
        raise ValueError(
            f"spacing is {numbers}, expected {logits.ndim - 2} positive numbers, one per spatial axis, or one such row "
            "per sample"
        )
    return numbers


def rows_of(spacing: Steps, logits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the spacing of every sample (N, D); 1 where there is none."""
    if spacing is None:
        return logits.new_ones(logits.shape[0], logits.ndim - 2, dtype=dtype)
    steps = spacing if isinstance(spacing, Tensor) else torch.tensor(spacing, dtype=torch.float64)
    return steps.to(logits.device, dtype).expand(logits.shape[0], logits.ndim - 2)


def read_image(image: Any, logits: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Return the network's input (N, K, *S) in this dtype; an image (N, *S) has one channel.

    Raises:
        ValueError: another number of samples, or another spatial shape than the logits'.
    """
    if image is None:
        return None
    found = plain("image", image, like=logits)
    n, _, *space = logits.shape
    if found.ndim == logits.ndim - 1:
        found = found[:, None]
    if found.ndim != logits.ndim or len(found) != n or list(found.shape[2:]) != space:
        raise ValueError(
            f"image has shape {tuple(found.shape)}, logits have {tuple(logits.shape)}; expected {(n, 'K', *space)} "
            f"with any number K of channels, or {(n, *space)}"
        )
    return found.detach().to(dtype)


def read_annotated(annotated: Any, logits: Tensor) -> Tensor | None:
    """Return which classes are annotated in which sample, bool (N, C); from (C,) for all samples alike.

    Raises:
        ValueError: another shape, or numbers that are neither 0 nor 1.
    """
    if annotated is None:
        return None
    found, shape = plain("annotated", annotated, like=logits), tuple(logits.shape[:2])
    if found.ndim == 1:
        found = found[None].expand(shape[0], -1)
    if tuple(found.shape) != shape:
        raise ValueError(
            f"annotated has shape {tuple(found.shape)}, expected {shape}: for every sample and class, background "
            "included, whether it is annotated"
        )
    if not transformed() and found.dtype != torch.bool and bool(((found != 0) & (found != 1)).any()):
        raise ValueError(f"annotated holds {torch.unique(found).tolist()[:4]}, expected True and False, or 1 and 0")
    return found.bool()


def given_auxiliary(context: Context, key: str) -> Tensor | None:
    """Return the values of this key that the call was given; of the finest scale, where it holds several."""
    return given_of_scale(context.auxiliary, key)


def given_of_scale(given: Any, key: str) -> Tensor | None:
    """Return the values of this key, of a mapping or of a list of mappings for several scales."""
    if given is not None and not hasattr(given, "get"):
        given = given[0] if len(given) else {}
    found: Tensor | None = given.get(key) if given is not None else None
    return found


def read_auxiliary(key: str, given: Any, logits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return values made of the labels as (N, C or 1, V), numbers in this dtype, identities of objects as they are.

    Raises:
        ValueError: another shape.
    """
    found = plain(f"maps[{key!r}]", given)
    n, c, *space = logits.shape
    numbers_per_class = found.ndim == logits.ndim and found[0, 0].numel() == 1 if len(found) else False
    fits = found.ndim == logits.ndim and found.shape[0] == n and found.shape[1] in (1, c)
    if not fits or (list(found.shape[2:]) != space and not numbers_per_class):
        raise ValueError(f"maps[{key!r}] has shape {tuple(found.shape)}, expected {(n, c, *space)} or {(n, 1, *space)}")
    # A number per class, such as a size, holds for all its voxels.
    flat = found.detach().flatten(2).expand(-1, -1, math.prod(space)).to(logits.device)
    return flat.to(dtype) if flat.is_floating_point() else flat
