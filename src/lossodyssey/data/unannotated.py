"""Classes that are taken out of label maps on purpose, to see which losses tolerate partial labels.

Each training case loses a share of its classes: their voxels become background, as they would be had nobody drawn them,
and the case says which classes are annotated in it, as the key `annotated` of `dataset.json` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from lossodyssey.data.layouts import Dataset
from lossodyssey.data.volumes import Labels


def partly_annotated(dataset: Dataset, names: Sequence[str], share: float) -> Dataset:
    """Return the data set with a share of the classes taken out of the cases with these names.

    The classes of a case are chosen by a hash of its name and theirs, so that other cases change nothing.

    Raises:
        ValueError: the data set has regions, whose labels other regions share, or the share is none or all of its
            classes.
    """
    if dataset.regions:
        raise ValueError(
            f"settings: unannotated is {share}, but {dataset.name} has regions, whose labels belong to several of "
            "them; expected 0"
        )
    count, total = round(share * len(dataset.targets)), len(dataset.targets)
    if not 0 < count < total:
        raise ValueError(
            f"settings: unannotated is {share}, which is {count} of the {total} classes of {dataset.name}; expected a "
            "share that leaves at least one class out and at least one in, or 0"
        )
    rows = {name: (True, *_kept(dataset, name, count)) for name in names}
    return replace(dataset, annotated={**dataset.annotated, **rows}, clears=True)


def _kept(dataset: Dataset, name: str, count: int) -> tuple[bool, ...]:
    """Return whether each class stays annotated in a case that loses `count` of them."""
    targets = [target.name for target in dataset.targets]
    ranked = sorted(targets, key=lambda target: sha256(f"unannotated {target} {name}".encode()).digest())
    pairs = zip(targets, dataset.is_annotated(name), strict=True)
    return tuple(known and target not in ranked[:count] for target, known in pairs)


def cleared(labels: Labels, dataset: Dataset, name: str) -> Labels:
    """Return the labels of a case with background in place of the classes that are not annotated in it."""
    pairs = zip(dataset.targets, dataset.is_annotated(name), strict=True)
    hidden = [label for target, known in pairs if not known for label in target.labels]
    kept = labels.copy()
    kept[np.isin(labels, hidden)] = 0
    return kept
