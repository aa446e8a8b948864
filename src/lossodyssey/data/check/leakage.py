"""Whether a training sees what it is scored on: a patient or an image on both sides of a division."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lossodyssey.data.check.duplicates import Twins
from lossodyssey.data.check.finding import Finding, listed
from lossodyssey.data.divisions import GIVEN, Division, read_divisions, read_test
from lossodyssey.data.layouts import Dataset
from lossodyssey.data.splits import split

TEST = "imagesTs/"
"""Begins the names of test images, which the data set does not list."""


def leakage(dataset: Dataset, pairs: Sequence[Twins]) -> list[Finding]:
    """Check the folds of `splits_final.json`, else the default split, and the images of `imagesTs`."""
    file = dataset.root / GIVEN
    tested = list(_into_test(pairs))
    if not file.is_file():
        return [*tested, *_of_default(dataset, pairs)]
    try:
        divisions, test = read_divisions(file), read_test(file)
    except ValueError as error:
        return [*tested, Finding("error", "leakage", (), str(error), "write it again: lossodyssey data split")]
    sides = [(f"fold {own.fold} of {GIVEN}", {*own.training}, {*own.scored}) for own in divisions]
    known = {name for _, training, scored in sides for name in training | scored}
    sides += [(f"the test part of {GIVEN}", known, {*test})] if test else []
    found = [finding for where, *parts in sides for finding in _of_division(dataset, where, parts, pairs)]
    return [*tested, *found, *_coverage(dataset, divisions, known.union(test))]


def _into_test(pairs: Sequence[Twins]) -> Iterator[Finding]:
    for pair in pairs:
        if pair.first.startswith(TEST) != pair.second.startswith(TEST):
            seen = f"{pair.second} shows the image of training case {pair.first} ({pair})"
            yield _finding(pair.exact, (pair.first, pair.second), seen, "take it out of one side")


def _of_default(dataset: Dataset, pairs: Sequence[Twins]) -> list[Finding]:
    try:
        training, held = split(dataset)
    except ValueError:
        return []
    sides = {case.name for case in training}, {case.name for case in held}
    where = f"the default split ({len(held)} cases held out)"
    fix = "give them one group (--write-groups), which stays together in every split"
    return [
        _finding(pair.exact, names, f"{where} trains on {names[0]} and scores {names[1]} ({pair})", fix)
        for pair in pairs
        if (names := _parted(pair, *sides))
    ]


def _of_division(dataset: Dataset, where: str, parts: Sequence[set[str]], pairs: Sequence[Twins]) -> Iterator[Finding]:
    groups = {case.name: case.group or f"case {case.name}" for case in dataset.cases}
    training, scored = parts
    fix = "write the folds again with groups kept together: lossodyssey data split --force"
    if strange := sorted((training | scored) - set(groups)):
        seen = f"{where} names cases that are not here: {listed(strange)}"
        yield Finding("error", "leakage", tuple(strange), seen, "correct the names, or write the folds again")
    for group in sorted({groups.get(n, n) for n in training} & {groups.get(n, n) for n in scored}):
        names = tuple(sorted(name for name in training | scored if groups.get(name, name) == group))
        what = "one patient or group" if len(names) > 1 else "one case"
        yield _finding(True, names, f"{where} trains on and scores {what}: {listed(names)}", fix)
    for pair in pairs:
        names = _parted(pair, training, scored)
        if names and groups.get(names[0]) != groups.get(names[1]):
            yield _finding(pair.exact, names, f"{where} trains on {names[0]} and scores {names[1]} ({pair})", fix)


def _parted(pair: Twins, training: set[str], scored: set[str]) -> tuple[str, ...]:
    """Return the names of a pair, the one that is trained on first; nothing where they are on one side."""
    for names in ((pair.first, pair.second), (pair.second, pair.first)):
        if names[0] in training and names[1] in scored:
            return names
    return ()


def _coverage(dataset: Dataset, divisions: Sequence[Division], used: set[str]) -> Iterator[Finding]:
    times = Counter(name for division in divisions for name in set(division.scored))
    twice = tuple(sorted(name for name, count in times.items() if count > 1))
    if twice:
        yield Finding("warning", "leakage", twice, f"{len(twice)} cases are scored in several folds", "score them once")
    unused = tuple(sorted({case.name for case in dataset.cases} - used))
    if unused:
        seen = f"{len(unused)} cases are in no fold of {GIVEN}: {listed(unused)}"
        yield Finding("warning", "leakage", unused, seen, "add them, or leave them out on purpose")


def _finding(certain: bool, names: tuple[str, ...], seen: str, fix: str) -> Finding:
    return Finding("error" if certain else "warning", "leakage", names, seen, fix)
