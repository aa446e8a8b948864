"""Which cases are held out: as it was published, else a fifth of them, before anything is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lossodyssey.data.divisions import folds
from lossodyssey.data.layouts import Case, Dataset
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe
from lossodyssey.data.splits import ranked_groups, split

HELD_OUT = 0.2
"""The share of test cases where none were published: the rule of the published experiments, applied before planning."""
FOLDS = 5  # nnU-Net's number


def divided(cases: Sequence[Found]) -> tuple[list[Found], list[Found], str]:
    """Return the cases to train on, those to test on, and who chose them.

    Where no division was published, a fifth of the cases is held out, patients together.

    Raises:
        ValueError: the published part is known for some cases only.
    """
    parts = {case.part for case in cases}
    if parts <= {"training", "test"}:
        training, test = ([found for found in cases if found.part == part] for part in ("training", "test"))
        return training, test, "training and test cases as published" if test else "every case is a training case"
    if parts != {""}:
        raise ValueError(f"parts of the cases are {sorted(parts)}; expected 'training' and 'test', or none at all")
    light = Dataset("sources", Path(), {}, (), tuple(Case(f.name, f.images, None, f.group) for f in cases))
    if len(ranked_groups(light, 0)) < 1 / HELD_OUT:
        return list(cases), [], "too few patients to hold out a fifth: every case is a training case"
    held = {case.name for case in split(light, HELD_OUT)[1]}
    test = [found for found in cases if found.name in held]
    return [f for f in cases if f.name not in held], test, "no published division: a fifth is held out, by names alone"


def redivided(recipe: Recipe, finding: Finding, name: str) -> Finding:
    """Return the cases with their parts in a published division; those that it leaves out are left out and reported.

    Raises:
        ValueError: the recipe has no division of that name, or it leaves one side without a case.
    """
    if name not in recipe.divisions:
        known = ", ".join(recipe.divisions) or "none"
        raise ValueError(f"no published division {name!r} of {recipe.name}; known: {known}")
    parts = recipe.divisions[name](finding.cases)
    kept = [replace(found, part=parts[found.name]) for found in finding.cases if found.name in parts]
    if {found.part for found in kept} != {"training", "test"}:
        raise ValueError(f"division {name!r} of {recipe.name} leaves one side without a case; is an archive missing?")
    left = len(finding.cases) - len(kept)
    notes = (f"{left} cases are in neither part of the division {name!r} and were left out",) if left else ()
    return Finding(kept, (*finding.notes, *notes))


def given_folds(
    dataset: Dataset, training: Sequence[Found], test: Sequence[Found], form: str
) -> list[dict[str, list[str]]]:
    """Return the folds to write: the one division of the experiments, or for nnU-Net those of the training cases.

    There are none where there are no test cases, or too few patients for folds.
    """
    if form == "nnunet" and len(ranked_groups(dataset, 0)) >= FOLDS:
        return [{"train": list(d.training), "val": list(d.scored)} for d in folds(dataset, FOLDS)]
    if form == "msd" and test:
        return [{"train": sorted(f.name for f in training), "val": sorted(f.name for f in test)}]
    return []


def published_folds(finding: Finding) -> list[dict[str, list[str]]]:
    """Return the published folds of the cases that are here."""
    names = sorted(found.name for found in finding.cases)
    scored = [[name for name in names if name in fold] for fold in finding.folds]
    return [{"train": [name for name in names if name not in part], "val": part} for part in scored if part]
