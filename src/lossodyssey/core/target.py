"""Reading the target: labels, one-hot, soft labels or regions, of any dtype, against logits (N, C, *S)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossodyssey.core.arrays import extent, one_output, plain, signed
from lossodyssey.core.ignored import merged, stored
from lossodyssey.core.voxel_weights import read_weight
from lossodyssey.kernels import Truth, transformed
from lossodyssey.kernels.labels import shares, within


def read(logits: Tensor, given: Any, *, sigmoid: bool, ignore: tuple[int, ...], weight: Any) -> Truth:
    """Return the truth that the target states, with voxels flattened; values are checked except while being compiled.

    A truth that was read already is returned as it is.
    """
    if isinstance(given, Truth):
        return given
    target, flat_weight = plain("target", given, like=logits), read_weight(logits, weight, sigmoid=sigmoid)
    if _is_index(logits, target):
        classes = max(logits.shape[1], 2)
        labels, ignored = merged(_integers(target).flatten(1), stored(ignore, target.dtype, classes), classes)
        _check_labels(labels, logits.shape[1], ignored)
        if not sigmoid:
            return Truth(labels, None, flat_weight, ignored, sigmoid=False)
        return _regions_of_labels(labels, logits.shape[1], ignored, flat_weight)
    check_shape(logits, target)
    if ignore:
        raise ValueError(
            f"ignore is {', '.join(map(str, ignore))}, but the target {tuple(target.shape)} has one channel per class: "
            "mark the voxels by `weight` (0 where they do not count) instead"
        )
    return _read_channels(signed(target).flatten(2), flat_weight, sigmoid)


def check_shape(logits: Tensor, target: Tensor) -> None:
    """Raise ValueError unless a target of this shape is labels or channels for logits (N, C, *S)."""
    if not _is_index(logits, target) and target.shape != logits.shape:
        raise ValueError(_misfit(logits, target))


def _is_index(logits: Tensor, target: Tensor) -> bool:
    space = logits.shape[2:]
    one_channel = (len(logits), 1, *space)
    return (
        # With one channel (N, 1, *S) may be labels or a region: floating values are those of a region.
        target.shape == (len(logits), *space)
        or (target.shape == one_channel and not target.is_floating_point())
        or (target.shape == one_channel and logits.shape[1] > 1)
    )


def _integers(target: Tensor) -> Tensor:
    if target.dtype == torch.bool:
        return target.to(torch.uint8)
    if not target.is_floating_point():
        return signed(target)
    labels = target.to(torch.int32)
    if not transformed() and not torch.equal(labels.to(target.dtype), target):
        raise ValueError(
            f"target {tuple(target.shape)} of {target.dtype} holds values that are not whole numbers, expected labels; "
            "soft labels need one channel per class"
        )
    return labels


def _check_labels(labels: Tensor, channels: int, ignored: int | None) -> None:
    if not transformed() and not within(labels, max(channels, 2), ignored):
        raise ValueError(_unknown_classes(torch.unique(labels).tolist(), channels, ignored))


def _unknown_classes(found: list[int], channels: int, ignored: int | None) -> str:
    """Say how to correct labels without a channel: grey levels of a mask, or marks of voxels that do not count."""
    classes = max(channels, 2)
    wrong = [label for label in found if label not in range(classes) and label != ignored]
    text = (
        f"target contains class {wrong[0]}, but logits have {channels} channel{'s' * (channels > 1)} "
        f"(classes 0 to {classes - 1}){'' if ignored is None else f' and ignore is {ignored}'}; "
    )
    marks = wrong if ignored is None else [ignored, *wrong]
    advice = f"ignore={marks[0] if len(marks) == 1 else marks}" if len(marks) <= 4 else "ignore"
    if wrong[0] > 0 and not set(found) & set(range(1, classes)):
        return (
            f"{text}if this is a mask stored as {shown_list([0, *wrong])}, give {_classes_of_greys(wrong, classes)}; "
            f"{advice} takes those voxels out of the loss, so pass it only if they do not count"
        )
    return f"{text}if {shown_list(wrong)} mark{'s' * (len(wrong) == 1)} voxels that do not count, pass {advice}"


def _classes_of_greys(greys: list[int], classes: int) -> str:
    """Return the code that turns a mask of these grey levels beside 0 into labels."""
    if len(greys) == 1:
        return f"target > 0 or target // {greys[0]}"
    if len(greys) < classes:
        return f"torch.searchsorted(torch.tensor({[0, *greys]}), target.long())"
    return f"target > {greys[-1] // 2}, or the file before it was scaled or compressed with losses"


def shown_list(labels: list[int]) -> str:
    """Return labels as a sentence names them, a few at most: `0, 127 and 254`."""
    words = [str(label) for label in labels[:4]] + ["others"] * (len(labels) > 4)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _regions_of_labels(labels: Tensor, channels: int, ignored: int | None, weight: Tensor | None) -> Truth:
    """Return the truth of labels under sigmoid: channel c is class c, and a single channel is class 1."""
    known = torch.arange(channels, device=labels.device) + (channels == 1)
    regions = labels[:, None] == known[:, None]
    if ignored is not None:
        valid = (labels != ignored)[:, None]
        weight = valid if weight is None else weight * valid
    return Truth(None, regions, weight, None, sigmoid=True)


def _read_channels(target: Tensor, weight: Tensor | None, sigmoid: bool) -> Truth:
    """Read a target (N, C, V) with a value per class: hard (0 or 1) or soft."""
    if _is_soft(target, sigmoid):
        return Truth(None, target, weight, None, sigmoid=sigmoid, soft=True)
    if sigmoid:
        return Truth(None, target.bool(), weight, None, sigmoid=True)
    return Truth(_labels_of(target), None, weight, None, sigmoid=False)


def _is_soft(target: Tensor, sigmoid: bool) -> bool:
    """Return whether channels are neither 0 nor 1 somewhere, once they are checked."""
    if transformed():
        # Values cannot be asked for: floating channels count as soft, which is right for hard ones too.
        return target.is_floating_point()
    soft, valid = shares(target, exclusive=not sigmoid) or (None, False)
    if not valid:
        _check_channels(target, sigmoid)
    if soft is not None:
        return soft
    # A cast to bool is several times faster than a comparison with 0.
    return target.is_floating_point() and bool((target.bool() & (target - 1).bool()).any())


def _labels_of(one_hot: Tensor) -> Tensor:
    """Return the labels (N, V) of channels (N, C, V) of 0 and 1, one of them 1: `argmax(1)`, far faster on the CPU."""
    labels = torch.zeros_like(one_hot[:, 0], dtype=torch.uint8 if one_hot.shape[1] <= 256 else torch.int32)
    for label in range(1, one_hot.shape[1]):
        labels = labels.add(one_hot[:, label].to(labels.dtype), alpha=label)
    return labels


def _check_channels(target: Tensor, sigmoid: bool) -> None:
    if target.numel() == 0:
        return
    low, high = extent(target)
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"target has one channel per class with values {low:g} to {high:g}, expected 0 to 1"
            + (
                f"; a mask stored as 0 and {high:g} is target > 0 or target / {high:g}"
                if low == 0 and 1 < high < math.inf
                else ""
            )
        )
    # Shares that were rounded to half precision do not sum to 1 exactly.
    low, high = (1.0, 1.0) if sigmoid else extent(target.detach().sum(1, dtype=torch.float32))
    if max(1 - low, high - 1) > max(1e-3, torch.finfo(target.dtype).eps if target.is_floating_point() else 0):
        raise ValueError(
            f"target's channels sum to {low:.3g}{f' to {high:.3g}' * (low < high)}, expected 1 at every voxel; "
            'overlapping regions need link="sigmoid", voxels that do not count a `weight` of 0'
        )


def read_logits(given: Any) -> Tensor:
    """Return the logits (N, C, *S) of a network with one output, whatever it comes in; see `arrays.one_output`.

    Raises:
        ValueError: no floating numbers, no spatial axis, no channel.
    """
    logits = one_output(given)
    if not logits.is_floating_point():
        raise ValueError(f"logits are {logits.dtype}, expected a floating point tensor (N, C, *S)")
    if logits.ndim < 3 or logits.shape[1] == 0:
        raise ValueError(f"logits have shape {tuple(logits.shape)}, expected (N, C, *S) with one spatial axis or more")
    return logits


def check_link(link: str) -> str:
    """Return `link` if it is known."""
    if link not in ("softmax", "sigmoid"):
        raise ValueError(
            f'link is {link!r}, expected "softmax" (exclusive classes) or "sigmoid" (one region per channel)'
        )
    return link


def _misfit(logits: Tensor, target: Tensor) -> str:
    n, c, *space = logits.shape
    text = (
        f"target has shape {tuple(target.shape)}, logits have {tuple(logits.shape)}; expected labels "
        f"{(n, *space)} or {(n, 1, *space)}, or one channel per class {(n, c, *space)}"
    )
    if target.ndim == logits.ndim and target.shape[-1] == c and tuple(target.shape[1:-1]) == tuple(space):
        text += "; the classes are in the last axis: target.movedim(-1, 1)"
    if tuple(logits.shape[3:]) in (tuple(target.shape[1:]), tuple(target.shape[2:])) and logits.ndim > 4:
        text += "; outputs of several scales stacked as (N, K, C, *S) go to a Criterion as a list: logits.unbind(1)"
    return text
