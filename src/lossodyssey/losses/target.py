"""Reading the target: labels, one-hot, soft labels or regions, of any dtype, against logits (N, C, *S)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import Truth, transformed


def read(logits: Tensor, target: Tensor, *, sigmoid: bool, ignore: int | None, weight: Tensor | None) -> Truth:
    """The truth that `target` states, with voxels flattened; values are checked except while being compiled."""
    flat_weight = _read_weight(logits, weight)
    if _is_index(logits, target):
        labels = _integers(target).reshape(len(target), -1)
        if not sigmoid:
            _check_labels(labels, logits.shape[1], ignore)
            return Truth(labels, None, flat_weight, ignore, sigmoid=False)
        return _regions_of_labels(labels, logits.shape[1], ignore, flat_weight)
    if target.shape != logits.shape:
        raise ValueError(_misfit(logits, target))
    if ignore is not None:
        raise ValueError(
            f"ignore is {ignore}, but the target {tuple(target.shape)} has one channel per class: "
            "mark the voxels by `weight` (0 where they do not count) instead"
        )
    return _read_channels(target.flatten(2), flat_weight, sigmoid)


def _is_index(logits: Tensor, target: Tensor) -> bool:
    space = logits.shape[2:]
    one_channel = (len(logits), 1, *space)
    return (
        target.shape == (len(logits), *space)
        or (target.shape == one_channel and not target.is_floating_point())
        or (target.shape == one_channel and logits.shape[1] > 1)
    )


def _integers(target: Tensor) -> Tensor:
    if target.dtype == torch.bool:
        return target.to(torch.uint8)
    if not target.is_floating_point():
        return target
    labels = target.to(torch.int32)
    if not transformed() and not torch.equal(labels.to(target.dtype), target):
        raise ValueError(
            f"target {tuple(target.shape)} of {target.dtype} holds values that are not whole numbers, expected labels; "
            "soft labels need one channel per class"
        )
    return labels


def _check_labels(labels: Tensor, classes: int, ignore: int | None) -> None:
    if transformed() or labels.numel() == 0:
        return
    if ignore is None or 0 <= ignore < classes:
        low, high = (int(x) for x in torch.aminmax(labels))
    else:
        known = torch.where(labels == ignore, 0, labels)
        low, high = (int(x) for x in torch.aminmax(known))
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(
            f"target contains class {wrong}, but logits have {classes} channels (classes 0 to {classes - 1}); "
            f"if {wrong} marks voxels that do not count, pass ignore={wrong}"
        )


def _regions_of_labels(labels: Tensor, classes: int, ignore: int | None, weight: Tensor | None) -> Truth:
    """Labels under sigmoid: channel c is class c, and a single channel is class 1."""
    _check_labels(labels, max(classes, 2), ignore)
    channels = torch.arange(classes, device=labels.device) + (classes == 1)
    regions = labels[:, None] == channels[:, None]
    if ignore is not None:
        valid = labels != ignore
        weight = valid if weight is None else weight * valid
    return Truth(None, regions, weight, None, sigmoid=True)


def _read_channels(target: Tensor, weight: Tensor | None, sigmoid: bool) -> Truth:
    """A target (N, C, V) with a value per class: hard (0 or 1) or soft."""
    soft = target.is_floating_point() and (transformed() or bool(((target != 0) & (target != 1)).any()))
    if not transformed():
        _check_channels(target, sigmoid)
    if sigmoid or soft:
        return Truth(None, target, weight, None, sigmoid=sigmoid, soft=soft)
    return Truth(target.to(torch.uint8).argmax(1), None, weight, None, sigmoid=False)


def _check_channels(target: Tensor, sigmoid: bool) -> None:
    if target.numel() == 0:
        return
    low, high = (float(x) for x in torch.aminmax(target.to(torch.uint8) if target.dtype == torch.bool else target))
    if low < 0 or high > 1:
        raise ValueError(f"target has one channel per class with values {low} to {high}, expected 0 to 1")
    off = 0.0 if sigmoid else float((target.sum(1, dtype=torch.float32) - 1).abs().max())
    if off > 1e-3:
        raise ValueError(
            f"target's channels sum to 1 up to {off:.3g} only, expected exactly one class per voxel; "
            'overlapping regions need link="sigmoid", voxels that do not count a `weight` of 0'
        )


def _read_weight(logits: Tensor, weight: Tensor | None) -> Tensor | None:
    if weight is None:
        return None
    space = logits.shape[2:]
    if weight.shape not in ((len(logits), *space), (len(logits), 1, *space)):
        raise ValueError(
            f"weight has shape {tuple(weight.shape)}, expected one number per voxel: {(len(logits), *space)}"
        )
    return weight.reshape(len(logits), -1)


def check_logits(logits: Any) -> None:
    """Raise ValueError unless `logits` is a floating tensor (N, C, *S) with at least one spatial axis."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        seen = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"logits are {seen}, expected a floating point tensor (N, C, *S)")
    if logits.ndim < 3:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, expected (N, C, *S) with one spatial axis or more")


def check_link(link: str) -> str:
    """Return `link` if it is known."""
    if link not in ("softmax", "sigmoid"):
        raise ValueError(
            f'link is {link!r}, expected "softmax" (exclusive classes) or "sigmoid" (one region per channel)'
        )
    return link


def check_spacing(spacing: Sequence[float] | None, logits: Tensor) -> tuple[float, ...] | None:
    """Return the spacing as floats, one per spatial axis."""
    if spacing is None:
        return None
    numbers = tuple(float(step) for step in spacing)
    if len(numbers) != logits.ndim - 2 or not all(math.isfinite(step) and step > 0 for step in numbers):
        raise ValueError(f"spacing is {numbers}, expected {logits.ndim - 2} positive numbers, one per spatial axis")
    return numbers


def _misfit(logits: Tensor, target: Tensor) -> str:
    n, c, *space = logits.shape
    text = (
        f"target has shape {tuple(target.shape)}, logits have {tuple(logits.shape)}; expected labels "
        f"{(n, *space)} or {(n, 1, *space)}, or one channel per class {(n, c, *space)}"
    )
    if target.ndim == logits.ndim and target.shape[-1] == c and tuple(target.shape[1:-1]) == tuple(space):
        text += "; the classes are in the last axis: target.movedim(-1, 1)"
    return text
