"""Class weights from the labels of a training set, one way for all losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from lossodyssey.losses.algebra import Preset, Sum
from lossodyssey.losses.loss import Loss

BY_FREQUENCY = "inverse_frequency"


def count_classes(label_maps: Iterable[Tensor | np.ndarray], classes: int, ignore: int | None = None) -> list[int]:
    """Voxels of each class in a training set; a ValueError names a label outside the classes."""
    counts = np.zeros(classes, dtype=np.int64)
    for labels in label_maps:
        found, voxels = np.unique(torch.as_tensor(labels).cpu().numpy(), return_counts=True)
        for label, number in zip(found.tolist(), voxels.tolist(), strict=True):
            if label == ignore:
                continue
            if not 0 <= label < classes or label != int(label):
                raise ValueError(f"label {label} is outside the {classes} classes 0 to {classes - 1}")
            counts[int(label)] += number
    return [int(count) for count in counts]


def inverse_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights 1 / (C f_c) of the classes' frequencies f_c, 0 for a class without voxels.

    Where every class occurs the mean weight of a voxel is 1, so the loss keeps its size (Loss odyssey, Eq. 2).
    """
    total, classes = sum(counts), len(counts)
    return tuple(total / (classes * count) if count else 0.0 for count in counts)


def with_class_weights(loss: Loss, counts: Sequence[int]) -> Loss:
    """A copy of `loss` in which `class_weights="inverse_frequency"` is replaced by the weights of `counts`."""
    if not needs_counts(loss):
        return loss.but() if isinstance(loss, Sum) else loss
    if isinstance(loss, Sum) and not _by_argument(loss):
        return Sum([(weight, with_class_weights(part, counts)) for weight, part in loss.parts])
    return loss.but(class_weights=inverse_frequency(counts))


def _by_argument(loss: Sum) -> bool:
    """Whether a preset's own hyper-parameter asks for the weights, and can take them."""
    return isinstance(loss, Preset) and loss.arguments.get("class_weights") == BY_FREQUENCY


def needs_counts(loss: Loss) -> bool:
    """Whether a term of `loss` takes its class weights from the training labels."""
    return any(getattr(leaf, "class_weights", None) == BY_FREQUENCY for _, leaf in loss.terms)
