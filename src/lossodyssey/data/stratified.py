"""Divisions in which every part has its share of the cases of each class, patients kept together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy

from lossodyssey.atomic import write_text
from lossodyssey.data.divisions import GIVEN, fold_parts
from lossodyssey.data.layouts import Case, Dataset
from lossodyssey.data.splits import held_out_count, ranked_groups, split
from lossodyssey.data.volumes import read_labels

EMPTY = "no object"
Presence = Mapping[str, frozenset[str]]
"""The names of the classes that occur in each case; `no object` for a case without any."""


@dataclass(frozen=True)
class Split:
    """Cases by names: `parts` are scored one after the other, `test` cases are in none of them."""

    parts: tuple[tuple[str, ...], ...]
    training: tuple[tuple[str, ...], ...]
    test: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the file's text: nnU-Net's list of `train` and `val`, with `test` beside them where there is one."""
        extra = {"test": list(self.test)} if self.test else {}
        pairs = zip(self.training, self.parts, strict=True)
        return json.dumps([{"train": list(train), "val": list(val), **extra} for train, val in pairs], indent=1) + "\n"


def read_presence(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Presence:
    """Read all label maps for the classes that occur in them.

    Raises:
        ValueError: a case has no label map, or one that cannot be read or holds unknown labels.
    """
    found = {}
    for number, case in enumerate(dataset.cases, start=1):
        if case.label is None:
            raise ValueError(f"{dataset.name}: case {case.name} has no label map; stratification needs one per case")
        labels = read_labels(case.label, dataset.known_labels).labels
        objects = set(numpy.unique(labels).tolist()) - {0, dataset.ignore}
        found[case.name] = frozenset(dataset.classes[label] for label in objects) or frozenset({EMPTY})
        if progress:
            progress(number, len(dataset.cases))
    return found


def divide(dataset: Dataset, folds: int, held_out: int | float, presence: Presence | None) -> Split:
    """Divide the cases into folds, a held-out part, or both; stratified where `presence` is given.

    With `folds` alone every case is scored once; with `held_out` alone (a number of cases or a fraction) there is one
    division that scores them; with both the held-out cases are the `test` part, which no fold sees.

    Raises:
        ValueError: neither is asked for, or there are too few patients.
    """
    if folds == 0 and not held_out:
        raise ValueError("folds is 0 and held_out is 0; expected at least one of them, such as folds 5")
    rest, held = _held(dataset, held_out, presence) if held_out else (list(dataset.cases), [])
    if not folds:
        return Split((_names(held),), (_names(rest),))
    own = replace(dataset, cases=tuple(rest))
    parts = _folds(own, folds, presence)
    everything = set(_names(rest))
    training = tuple(tuple(sorted(everything - set(part))) for part in parts)
    return Split(parts, training, _names(held))


def _held(dataset: Dataset, held_out: int | float, presence: Presence | None) -> tuple[list[Case], list[Case]]:
    if presence is None:
        return split(dataset, held_out_count(dataset, held_out))
    share = held_out_count(dataset, held_out) / len(dataset.cases)
    rest, held = shared_out(ranked_groups(dataset, seed=0), presence, [1 - share, share])
    if not rest or not held:
        raise ValueError(f"held_out={held_out} of data set {dataset.name} leaves one side without a patient")
    return rest, held


def _folds(dataset: Dataset, count: int, presence: Presence | None) -> tuple[tuple[str, ...], ...]:
    parts = fold_parts(dataset, count)
    if presence is not None:
        parts = shared_out(ranked_groups(dataset, seed=0), presence, [1 / count] * count)
    if not all(parts):
        raise ValueError(f"data set {dataset.name}: its groups are too large for {count} folds; ask for fewer")
    return tuple(_names(part) for part in parts)


def shared_out(groups: Sequence[Sequence[Case]], presence: Presence, shares: Sequence[float]) -> list[list[Case]]:
    """Spread groups over parts so that each gets its share of the cases of every class, the rarest class first.

    Iterative stratification (Sechidis et al. 2011), with groups for single cases: a group goes where its rarest class
    is missing most, then to the part that lacks most cases.
    """
    parts: list[list[Case]] = [[] for _ in shares]
    left = list(groups)
    lack = {name: [share * total for share in shares] for name, total in _totals(left, presence).items()}
    room = [share * sum(map(len, left)) for share in shares]
    while left:
        totals = _totals(left, presence)
        rarest = min(totals, key=lambda name: (totals[name], name))
        own = [group for group in left if any(rarest in presence[case.name] for case in group)]
        # The largest first, so that the small ones can level the parts.
        for group in sorted(own, key=len, reverse=True):
            chosen = max(range(len(shares)), key=lambda part: (round(lack[rarest][part], 9), room[part], -part))
            parts[chosen] += group
            room[chosen] -= len(group)
            for case in group:
                for name in presence[case.name]:
                    lack[name][chosen] -= 1
        taken = {id(group) for group in own}
        left = [group for group in left if id(group) not in taken]
    return parts


def _totals(groups: Iterable[Sequence[Case]], presence: Presence) -> dict[str, int]:
    totals: dict[str, int] = {}
    for group in groups:
        for case in group:
            for name in presence[case.name]:
                totals[name] = totals.get(name, 0) + 1
    return totals


def _names(cases: Iterable[Case]) -> tuple[str, ...]:
    return tuple(sorted(case.name for case in cases))


def write_split(dataset: Dataset, made: Split, force: bool = False) -> Path:
    """Write `splits_final.json` into the folder of the data set, where training and nnU-Net read it.

    Raises:
        FileExistsError: there is one, and `force` is not given.
    """
    file = dataset.root / GIVEN
    if file.exists() and not force:
        raise FileExistsError(f"{file}: exists; --force replaces it, and studies with its folds then train again")
    write_text(file, made.text())
    return file
