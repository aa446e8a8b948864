"""Class weights from the labels of a training set, one way for all losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from lossodyssey.losses.algebra import Sum
from lossodyssey.losses.loss import Loss


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
    if isinstance(loss, Sum):
        return Sum([(weight, with_class_weights(leaf, counts)) for weight, leaf in loss.terms])
    if not needs_counts(loss):
        return loss
    return loss.but(class_weights=inverse_frequency(counts))


def needs_counts(loss: Loss) -> bool:
    """Whether a term of `loss` takes its class weights from the training labels."""
    return any(getattr(leaf, "class_weights", None) == "inverse_frequency" for _, leaf in loss.terms)
