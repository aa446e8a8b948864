"""Label maps that are wrong on purpose, to see which losses tolerate them.

A wrong map is the true one shifted by a tenth of each extent, towards higher indices, as if it had been saved with
another origin; the voxels that this leaves bare are background.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Labels = TypeVar("Labels", bound=NDArray[Any])


def wrongly_labelled(names: Sequence[str], share: float) -> list[str]:
    """Choose a share of the cases, at least one where the share is above 0, by a hash of their names alone."""
    ranked = sorted(names, key=lambda name: sha256(f"wrong {name}".encode()).digest())
    return sorted(ranked[: max(round(share * len(names)), int(share > 0))])


def shifted(labels: Labels) -> Labels:
    """Shift a label map by a tenth of each extent, at least a voxel; an axis of a single voxel stays."""
    steps = [min(max(round(size / 10), 1), size - 1) for size in labels.shape]
    moved: Labels = np.zeros_like(labels)
    moved[tuple(slice(step, None) for step in steps)] = labels[
        tuple(slice(size - step) for size, step in zip(labels.shape, steps, strict=True))
    ]
    return moved
