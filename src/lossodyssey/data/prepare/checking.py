"""A prepared set is read whole before it gets its name: every image, every label, and how rare each class is."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy

from lossodyssey.data.layouts import Case, Dataset
from lossodyssey.data.prepare.recipe import Recipe
from lossodyssey.data.volumes import read_case

TOLERANCE = 2.0  # the factor by which a ratio may miss the published one, whose counting is not stated


def check_cases(
    dataset: Dataset, cases: Sequence[Case], origins: Mapping[str, str], step: Callable[[int, int], None]
) -> tuple[Counter[int], list[str]]:
    """Read every case; return the voxels of each label and what is odd about the files.

    Args:
        dataset: the set that the cases belong to.
        cases: the cases to read.
        origins: the path in the source of every case, for messages.
        step: called with the number of cases read and to read.

    Raises:
        ValueError: a case cannot be read, or its image and labels do not belong together.
    """
    voxels: Counter[int] = Counter()
    notes = []
    for done, case in enumerate(cases, 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                labels = read_case(dataset, case).labels
            except ValueError as error:
                raise ValueError(f"{origins[case.name]}: {_short(error, dataset.root)}") from None
        notes += [f"case {case.name}: {_short(warning.message, dataset.root)}" for warning in caught]
        if labels is not None:
            values, counts = numpy.unique(labels, return_counts=True)
            voxels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        step(done, len(cases))
    return voxels, notes


def _short(error: object, root: Path) -> str:
    # The folder that is being written has a temporary name, and vanishes.
    return str(error).replace(f"{root}/", "")


def check_ratios(recipe: Recipe, dataset: Dataset, voxels: Mapping[int, int]) -> list[str]:
    """Return what is odd about how rare the classes are: one that never occurs, one far from what was published."""
    notes = []
    for number, name in dataset.classes.items():
        if number and not voxels.get(number):
            notes.append(f"class {number} {name} occurs in no case")
        elif number and recipe.ratios is not None:
            ratio, (least, most) = voxels.get(0, 0) / voxels[number], recipe.ratios
            if not least / TOLERANCE <= ratio <= most * TOLERANCE:
                published = f"{least:g}:1" if least == most else f"{least:g}:1 to {most:g}:1"
                notes.append(f"class {number} {name}: {ratio:.0f} background voxels for one, published are {published}")
    return notes
