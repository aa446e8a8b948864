"""Labels by thresholds on probabilities that are tuned on validation cases.

The threshold of a class or region is the one of the grid 0.05, 0.10, ..., 0.95 whose mask, all voxels with a larger
probability, has the best mean DSC over the validation cases, each class on its own; of equal ones the one nearest to
1/2. A class that no validation case has keeps 1/2. Of the classes above their thresholds, a voxel takes the one with
the largest probability minus threshold, else the background; a region takes every voxel above its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Dataset
from lossodyssey.data.regions import write_regions

# In the precision of the probabilities, so that tuning and decoding compare the same numbers.
GRID = np.arange(1, 20, dtype=np.float32) / 20
START = 0.5

Probabilities = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]


def tune(cases: Iterable[tuple[Probabilities, Labels, tuple[bool, ...]]], dataset: Dataset) -> dict[str, float]:
    """Choose a threshold for each class or region, by name.

    `cases` are probabilities (C, *S), truth (*S), and of each target whether it is annotated; targets that are not do
    not affect their threshold.
    """
    scores: dict[str, list[NDArray[np.float64]]] = {target.name: [] for target in dataset.targets}
    for probabilities, truth, annotated in cases:
        kept = np.ones(truth.shape, np.bool_) if dataset.ignore is None else truth != dataset.ignore
        for target, own, known in zip(dataset.targets, targets_of(probabilities, dataset), annotated, strict=True):
            right = np.isin(truth[kept], target.labels)
            if known and right.any():
                scores[target.name].append(_dice(own[kept], right))
    return {name: _best(found) for name, found in scores.items()}


def targets_of(probabilities: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Return the probabilities of the regions, or of the classes except the background."""
    return probabilities if dataset.regions else probabilities[1:]


def _dice(probability: Probabilities, right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the DSC of the mask above each threshold of the grid."""
    below = np.searchsorted(GRID, probability, side="left")  # how many thresholds the probability is above
    voxels = np.bincount(below, minlength=len(GRID) + 1)[::-1].cumsum()[::-1][1:]
    hits = np.bincount(below[right], minlength=len(GRID) + 1)[::-1].cumsum()[::-1][1:]
    return np.asarray(2 * hits / (voxels + np.count_nonzero(right)))


def _best(scores: list[NDArray[np.float64]]) -> float:
    if not scores:
        return START
    mean = np.mean(scores, axis=0)
    # In full precision 0.05 reads as such in the file; the nearest float32 is again the one of the grid.
    equal = [round(float(threshold), 2) for threshold in GRID[mean == mean.max()]]
    return min(equal, key=lambda threshold: (round(abs(threshold - START), 2), threshold))


def decode(probabilities: Probabilities, thresholds: Mapping[str, float], dataset: Dataset) -> Labels:
    """Make labels (*S) of probabilities (C, *S) by the threshold of each class or region."""
    limits = np.array([thresholds[target.name] for target in dataset.targets], np.float32)
    above = targets_of(probabilities, dataset) - limits.reshape(-1, *(1,) * (probabilities.ndim - 1))
    if dataset.regions:
        return write_regions(above > 0, dataset.written)
    best = above.argmax(0) + 1
    return np.where(above.max(0) > 0, best, 0)
