"""Class weights from the labels of a training set, one way for all losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lossodyssey.core import fields
from lossodyssey.core.arrays import plain, signed
from lossodyssey.core.ignored import Ignore, check_ignore, stored
from lossodyssey.core.loss import Loss, Sum
from lossodyssey.core.presets import Preset

BY_FREQUENCY = "inverse_frequency"


def count_classes(label_maps: Iterable[Tensor | np.ndarray], classes: int, ignore: Ignore = None) -> list[int]:
    """Return the voxels of each class in a training set.

    `ignore` is the label of voxels that do not count, or several, as in a call of a loss.

    Raises:
        ValueError: a label outside the classes.
    """
    counts, ignored = [0] * classes, check_ignore(ignore)
    for given in label_maps:
        labels = plain("labels", given).detach().cpu()
        left_out = stored(ignored, labels.dtype, classes)
        numbers = labels.double() if labels.is_floating_point() else signed(labels)  # NumPy has no bfloat16
        found, voxels = np.unique(numbers.numpy(), return_counts=True)
        for label, number in zip(found.tolist(), voxels.tolist(), strict=True):
            if label in left_out:
                continue
            if label not in range(classes):
                raise ValueError(f"label {label} is outside the {classes} classes 0 to {classes - 1}")
            counts[int(label)] += number
    return counts


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Return the weights 1 / (C f_c) of the classes' frequencies f_c, 0 for a class without voxels.

    Where every class occurs the mean weight of a voxel is 1, so the loss keeps its size (Loss odyssey, Eq. 2).

    Raises:
        ValueError: counts that are not one finite number of 0 or more per class, or all 0.
    """
    numbers = _numbers(counts)
    total, classes = sum(numbers), len(numbers)
    if not total:
        raise ValueError(f"counts is {fields.brief(numbers)}: no voxel was counted, expected one class with voxels")
    return tuple(total / (classes * count) if count else 0.0 for count in numbers)


def _numbers(counts: Any) -> list[float]:
    """Return the voxels of each class of a sequence, array or tensor."""
    values = counts.tolist() if hasattr(counts, "tolist") else counts
    items = [item.item() if hasattr(item, "item") else item for item in values] if isinstance(values, Sequence) else []
    if not items or not all(isinstance(item, int | float) and 0 <= item < math.inf for item in items):
        raise ValueError(
            f"counts is {fields.brief(counts)}, expected the voxels of each class, background first, as count_classes "
            "returns them"
        )
    return items


def with_class_weights(loss: Loss, counts: Sequence[int]) -> Loss:
    """Return a copy of `loss` in which `class_weights="inverse_frequency"` is replaced by the weights of `counts`.

    `counts` holds the voxels of each class, background first: a list, an array or a tensor.

    Raises:
        ValueError: `loss` is its text or a criterion, or counts as `inverse_frequency` refuses them.
    """
    if not isinstance(loss, Loss):
        raise ValueError(
            f"loss is {fields.brief(loss)}, expected a loss: parse(text) makes one of a text, and "
            "Criterion(with_class_weights(loss, counts)) puts it into a criterion"
        )
    if not needs_counts(loss):
        return loss.but() if isinstance(loss, Sum) else loss
    if isinstance(loss, Sum) and not _by_argument(loss):
        return Sum([(weight, with_class_weights(part, counts)) for weight, part in loss.written])
    if isinstance(loss, Sum) or getattr(loss, "class_weights", None) == BY_FREQUENCY:
        loss = loss.but(class_weights=inverse_frequency(counts))
    inner = {name: each for name, each in loss.named_children() if isinstance(each, Loss) and needs_counts(each)}
    return loss.but(**{name: with_class_weights(each, counts) for name, each in inner.items()}) if inner else loss


def _by_argument(loss: Sum) -> bool:
    """Return whether a preset's own hyper-parameter asks for the weights, and can take them."""
    return isinstance(loss, Preset) and loss.arguments.get("class_weights") == BY_FREQUENCY


def needs_counts(loss: Loss) -> bool:
    """Return whether a term of `loss`, or a loss inside one, takes its class weights from the training labels."""
    return any(getattr(inner, "class_weights", None) == BY_FREQUENCY for inner in loss.modules())
