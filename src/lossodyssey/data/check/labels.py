"""Whether label maps hold the classes of the data set, and each of them somewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data.check.finding import Finding, listed
from lossodyssey.data.layouts import Case, Dataset

if TYPE_CHECKING:
    from lossodyssey.data.check.sight import Sight

IMAGE_LIKE = 32  # unknown labels in one map, where it looks like an image


def label_counts(labels: NDArray[Any]) -> dict[int, int]:
    """Count the voxels of every label that occurs."""
    if labels.dtype != np.uint8:
        values, sizes = np.unique(labels, return_counts=True)
        return dict(zip(values.tolist(), sizes.tolist(), strict=True))
    # Row by row, since bincount makes every byte a word of eight.
    table = np.zeros(256, np.int64)
    for row in labels:
        table += np.bincount(row.ravel(), minlength=256)
    return {int(label): int(table[label]) for label in np.flatnonzero(table)}


def label_findings(dataset: Dataset, case: Case, counts: Mapping[int, int]) -> list[Finding]:
    """Find labels that the data set does not know, and maps without any voxel that counts."""
    strange = sorted(set(counts) - set(dataset.known_labels))
    if len(strange) > IMAGE_LIKE:
        seen = f"the label file holds {len(counts)} different values, as an image does"
        return [Finding("error", "pairing", (case.name,), seen, "are image and label exchanged?")]
    if strange:
        known = ", ".join(f"{label} {name}" for label, name in dataset.known_labels.items())
        voxels = sum(counts[label] for label in strange)
        seen = f"{voxels} voxels have labels that are not classes: {listed([*map(str, strange)])} (known: {known})"
        return [Finding("error", "labels", (case.name,), seen, "change the labels, or add classes to dataset.json")]
    if set(counts) == {dataset.ignore}:
        seen = f"every voxel has the ignored label {dataset.ignore}"
        return [Finding("warning", "labels", (case.name,), seen, "leave the case out: nothing is learned from it")]
    return []


def labels_of_all(dataset: Dataset, sights: Sequence[Sight]) -> list[Finding]:
    """Find classes that occur in no case, and name the cases without any object."""
    maps = [sight for sight in sights if sight.counts]
    if not maps:
        return []
    seen = set().union(*(sight.counts for sight in maps))
    found = []
    if absent := [f"{label} {name}" for label, name in dataset.classes.items() if label not in seen]:
        which = f"class {absent[0]} occurs" if len(absent) == 1 else f"{len(absent)} classes ({listed(absent)}) occur"
        found.append(Finding("warning", "labels", (), f"{which} in none of {len(maps)} label maps", _ABSENT))
    empty = tuple(sight.name for sight in maps if not set(sight.counts) - {0, dataset.ignore})
    if empty:
        said = f"{len(empty)} of {len(maps)} label maps are empty: {listed(empty)}"
        found.append(Finding("warning" if len(empty) == len(maps) else "note", "labels", empty, said, _EMPTY))
    return found


_ABSENT = "take it out of dataset.json, or find the cases that have it"
_EMPTY = "right where there is nothing to find (overlap metrics are then undefined); else label them"
