"""The cases of a task that can be compared: those that all losses were run on and all metrics speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from lossodyssey.ranking.cube import Cube, Flags
from lossodyssey.ranking.nouns import noun, nouns

SHOWN = 3


class Unusable(ValueError):
    """A task in which no case has a value to compare."""


def shared_cases(task: str, cubes: Mapping[str, Cube], policy: str) -> tuple[list[str], list[str]]:
    """Return the cases to compare, in the order of the table, and notes on those that are left out.

    Raises:
        Unusable: no case is left, or two losses have no case in common.
    """
    everything = list(dict.fromkeys(case for cube in cubes.values() for case in cube.cases))
    silent = set(everything).difference(*(_marked(cube, cube.known) for cube in cubes.values()))
    never = _never_run(cubes)
    usable = set(everything).intersection(*(cube.usable(policy) for cube in cubes.values())) - silent
    cases = [case for case in everything if case in usable]
    if strange := _strangers(cubes):
        raise Unusable(f"{task}: {strange}")
    if not cases:
        raise Unusable(f"{task}: no case has a usable value in every metric {list(cubes)} (policy {policy!r})")
    return cases, [f"{task}: {note}" for note in _notes(everything, usable, silent, never, policy)]


def _marked(cube: Cube, flags: Flags) -> set[str]:
    return {case for case, mark in zip(cube.cases, flags, strict=True) if mark}


def _never_run(cubes: Mapping[str, Cube]) -> dict[str, set[str]]:
    """Return, by loss, the cases that it was never run on while another loss was."""
    found: dict[str, set[str]] = {}
    for cube in cubes.values():
        for loss, own in zip(cube.losses, cube.covered, strict=True):
            found.setdefault(loss, set()).update(_marked(cube, np.any(cube.covered, axis=0) & ~own))
    return {loss: own for loss, own in found.items() if own}


def _strangers(cubes: Mapping[str, Cube]) -> str:
    """Name two losses that have no case in common, as where two tables spell the cases in two ways."""
    own: dict[str, dict[str, None]] = {}
    for cube in cubes.values():
        for loss, listed in zip(cube.losses, np.any(cube.listed, axis=(1, 3)), strict=True):
            names = (case for case, mark in zip(cube.cases, listed, strict=True) if mark)
            own.setdefault(loss, {}).update(dict.fromkeys(names))
    for (one, first), (two, second) in combinations(own.items(), 2):
        if first.keys().isdisjoint(second):
            shown = [", ".join(list(names)[:SHOWN]) for names in (first, second)]
            return (
                f"{nouns()} {one!r} and {two!r} have no case in common ({shown[0]} ... and {shown[1]} ...); score them "
                "on the same cases, and name a case alike in all tables"
            )
    return ""


def _notes(
    everything: Sequence[str], usable: set[str], silent: set[str], never: Mapping[str, set[str]], policy: str
) -> list[str]:
    """Say how many cases are left out, and why."""
    total = len(everything)
    missed = set().union(*never.values()) - silent
    rest = set(everything) - usable - silent - missed
    notes = []
    if silent:
        notes.append(
            f"{len(silent)} of {total} cases are left out: no {noun()} has a result there, only statuses (no truth, or "
            "one that cannot be read?)"
        )
    if missed:
        names = ", ".join(f"{loss} on {len(own - silent)}" for loss, own in never.items() if own - silent)
        notes.append(
            f"{len(missed)} of {total} cases are left out for all {nouns()}: some were not run on them ({names})"
        )
    if rest:
        why = f"a {noun()} lacks a value there, or " if policy == "drop" else ""
        notes.append(
            f"{len(rest)} of {total} cases are left out for all {nouns()} ({why}some metric says nothing there)"
        )
    return notes
