"""One case of a data set, reduced to the facts that a fingerprint is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Case, Dataset, read_case
from lossodyssey.fingerprint.objects import Objects, describe


@dataclass(frozen=True)
class CaseFacts:
    """A case: its grid, voxels that `count`, those of `background`, objects by target, and borders between classes.

    `objects` holds None where a target is absent and lacks it where it is not annotated. `beside` are pairs of label
    numbers that share a face, `present` the labels that occur.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    counted: int
    background: int
    objects: Mapping[str, Objects | None]
    present: frozenset[int]
    beside: frozenset[tuple[int, int]]


def look(dataset: Dataset, case: Case) -> CaseFacts:
    """Read a case and measure its objects.

    Raises:
        ValueError: it cannot be read, or has no label map.
    """
    volume = read_case(dataset, case)
    labels = volume.labels
    if labels is None:
        raise ValueError(f"{dataset.name}: case {case.name} has no label map; add it or take the case out")
    counts = None if dataset.ignore is None else labels != dataset.ignore
    return CaseFacts(
        shape=labels.shape,
        spacing=volume.spacing,
        counted=labels.size if counts is None else int(np.count_nonzero(counts)),
        background=int(np.count_nonzero(labels == 0)),
        objects={
            target.name: describe(_mask(labels, target.labels), volume.image, counts, volume.spacing)
            for target in _annotated(dataset, case)
        },
        present=frozenset(np.unique(labels).tolist()) - {0, dataset.ignore},
        beside=frozenset(pair for pair in _neighbours(labels) if dataset.ignore not in pair),
    )


def _annotated(dataset: Dataset, case: Case) -> list[Any]:
    """Return the targets that are annotated in the case."""
    row = dataset.annotated.get(case.name)
    if row is None:
        return list(dataset.targets)
    # Without regions the row begins with the background.
    known = row if dataset.regions else row[1:]
    return [target for target, annotated in zip(dataset.targets, known, strict=True) if annotated]


def _mask(labels: NDArray[Any], numbers: tuple[int, ...]) -> NDArray[np.bool_]:
    return labels == numbers[0] if len(numbers) == 1 else np.isin(labels, numbers)


def _neighbours(labels: NDArray[Any]) -> set[tuple[int, int]]:
    """Return the pairs of labels above 0 that share a face, the smaller first."""
    found: set[tuple[int, int]] = set()
    for axis in range(labels.ndim):
        one = labels[(slice(None),) * axis + (slice(-1),)]
        two = labels[(slice(None),) * axis + (slice(1, None),)]
        meet = (one != two) & (one > 0) & (two > 0)
        pairs = np.unique(np.stack([one[meet], two[meet]]), axis=1)
        found |= {(min(pair), max(pair)) for pair in pairs.T.tolist()}
    return found
