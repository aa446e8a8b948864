"""One task and metric before averaging: losses x runs x cases x classes, and the policies for its holes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.measures import Measure
from lossodyssey.ranking.nouns import nouns
from lossodyssey.table import Row

POLICIES = {
    "worst": "a value that is missing or infinite counts as the worst value",
    "drop": "a case is left out for all if one of them lacks a value in it",
    "last": "what has no value comes last in that case, behind every value seen",
}

LOST = ("missing", "diverged", "failed")
"""Statuses that say of a case no more than that there is no result."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cube:
    """Values by (loss, run, case, class), a run being one fold and seed.

    `listed` marks the entries that the table has a row for, `expected` those that a loss should have (see `_expected`).
    An entry that is empty in truth and in every prediction says nothing and is not expected; where some loss predicts
    something there, leaving it empty is the best value. `known` marks the cases of which some row says more than that
    there is no result. Of a signed measure, `values` hold sizes. `greatest` (cases, classes) bounds a distance in a
    case, NaN where the table does not say.
    """

    losses: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]
    cases: tuple[str, ...]
    measure: Measure
    values: Floats
    listed: Flags
    expected: Flags
    known: Flags
    greatest: Floats

    @classmethod
    def build(cls, rows: Sequence[Row], losses: tuple[str, ...], measure: Measure) -> Cube:
        """Fill the cube from the rows of one task and metric."""
        runs = tuple(sorted({(row.fold, row.seed) for row in rows}))
        cases = tuple(dict.fromkeys(row.case for row in rows))
        classes = tuple(dict.fromkeys(row.class_name for row in rows))
        keys = zip(*((row.loss, (row.fold, row.seed), row.case, row.class_name) for row in rows), strict=True)
        at = tuple(_places(axis, found) for axis, found in zip((losses, runs, cases, classes), keys, strict=True))
        shape = (len(losses), len(runs), len(cases), len(classes))

        found = np.array([row.value for row in rows])
        known = np.zeros(len(cases), bool)
        known[at[2][~np.isnan(found) | [row.status not in LOST for row in rows]]] = True
        found[~np.isfinite(found)] = np.nan
        values, listed, agreed = np.full(shape, np.nan), np.zeros(shape, bool), np.zeros(shape, bool)
        values[at] = np.abs(found) if measure.signed else found
        listed[at] = True

        # Both empty: this loss rightly predicted nothing, whatever others did.
        agreed[at] = np.isnan(found) & [row.status == "both_empty" for row in rows]
        greatest = np.full(shape[2:], np.nan)

        # fmax: one loss's row may lack the bound that another's has.
        if measure.has_greatest:
            np.fmax.at(greatest, at[2:], [row.greatest for row in rows])

        # Rightly empty where another loss invented something: the best value there is, else the best one seen.
        if np.isfinite(values).any():
            values[agreed] = measure.best if np.isfinite(measure.best) else _extreme(values, measure.sign)
        expected = _expected(listed, agreed, np.array([fold for fold, _ in runs]))
        return cls(losses, runs, cases, measure, values, listed, expected, known, _spread(greatest))

    def over(self, cases: Sequence[str]) -> Cube:
        """Return the cube of these cases alone."""
        at = _places(self.cases, cases)
        return replace(
            self,
            cases=tuple(cases),
            values=self.values[:, :, at],
            listed=self.listed[:, :, at],
            expected=self.expected[:, :, at],
            known=self.known[at],
            greatest=self.greatest[at],
        )

    @property
    def missing(self) -> Flags:
        """Entries that are expected and have no value."""
        return self.expected & ~np.isfinite(self.values)

    @property
    def absent(self) -> Flags:
        """Entries that are expected and have no row."""
        return self.expected & ~self.listed

    @property
    def covered(self) -> Flags:
        """Where a loss has an expected entry in a case, (losses, cases)."""
        return np.asarray(self.expected.any(axis=(1, 3)))

    def usable(self, policy: str) -> set[str]:
        """Return the cases that can enter the ranking under the policy: those that all losses were run on."""
        lost = self.missing.sum(axis=(0, 1, 3))
        usable = self.covered.all(axis=0) & ((lost == 0) | (policy != "drop"))
        return {case for case, ok in zip(self.cases, usable, strict=True) if ok}

    def by_case(self, policy: str) -> tuple[Floats, Floats]:
        """Fill the holes and average the classes: (losses, runs, cases), NaN where none is expected; then the runs."""
        # Holes are filled before any average: a mean over the classes that are left would reward a lost class.
        filled = np.where(self.missing, self._stand_in(policy), self.values)
        by_run = _mean(np.where(self.expected, filled, np.nan), axis=3)
        return by_run, _mean(by_run, axis=1)

    def seed_deviation(self, by_run: Floats) -> Floats:
        """Compute the standard deviation over seeds of each loss's mean over cases; NaN with one seed."""
        # Folds of one seed are averaged first: each fold has cases of its own, whose difficulty is not training noise.
        seeds = np.array([seed for _, seed in self.runs])
        means = np.stack([_mean(by_run[:, seeds == seed], axis=(1, 2)) for seed in np.unique(seeds)], axis=1)
        count = np.isfinite(means).sum(axis=1)
        squares = np.nansum((means - _mean(means, axis=1)[:, None]) ** 2, axis=1)
        return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)

    def members(self, groups: Mapping[str, str]) -> tuple[tuple[str, ...], Floats]:
        """Return the names of the groups (patients) of the cases, and (cases, groups): 1 for a member."""
        names = tuple(dict.fromkeys(groups[case] for case in self.cases))
        member = np.zeros((len(self.cases), len(names)))
        member[np.arange(len(self.cases)), _places(names, [groups[case] for case in self.cases])] = 1
        return names, member

    def notes(self, task: str, metric: str, policy: str) -> list[str]:
        """Say which value stands in for missing ones, and which values are compared by their size."""
        said = [f"{task}, {metric}: signed values; their size is compared"] if self.measure.signed else []
        missing, owed = self.missing.sum(axis=(1, 2, 3)), self.expected.sum(axis=(1, 2, 3))
        lost = [
            f"{loss} {gone} of {all_}{f', {rowless} without a row' if rowless else ''}"
            for loss, gone, all_, rowless in zip(
                self.losses, missing, owed, self.absent.sum(axis=(1, 2, 3)), strict=True
            )
            if gone
        ]
        if lost:
            said.append(f"{task}, {metric}: values are missing ({', '.join(lost)}); {self._replaced(policy)}")
        return said

    def _replaced(self, policy: str) -> str:
        if policy != "worst":
            return POLICIES[policy]
        if math.isfinite(self.measure.worst):
            return f"{POLICIES[policy]}, {self.measure.worst:g}"
        seen = int((self.missing & ~np.isfinite(self.greatest)).sum())
        known = int(self.missing.sum()) - seen
        said = [
            f"{known} by the greatest distance of the case" if known else "",
            f"{seen} by the worst value seen, which depends on the {nouns()} in the table (column greatest avoids it)"
            if seen
            else "",
        ]
        return f"{POLICIES[policy]}: {', '.join(filter(None, said))}"

    def _stand_in(self, policy: str) -> Floats | float:
        worst = _extreme(self.values, -self.measure.sign)
        if policy == "last":
            # Behind every value seen by the whole spread, so that ranks put it last and means notice it.
            spread = float(np.nanmax(self.values) - np.nanmin(self.values))
            return worst - self.measure.sign * (spread or 1.0)
        if math.isfinite(self.measure.worst):
            return self.measure.worst
        # A distance has no worst value; the image's diagonal bounds it whatever other losses stand in the table.
        return np.where(np.isfinite(self.greatest), self.greatest, worst)


def _places(axis: Sequence[object], keys: Sequence[object]) -> NDArray[np.intp]:
    place = {name: i for i, name in enumerate(axis)}
    return np.fromiter((place[key] for key in keys), np.intp, len(keys))


def _spread(greatest: Floats) -> Floats:
    """Let a class without a greatest value take that of the case."""
    case = np.fmax.reduce(greatest, axis=1, keepdims=True)
    return np.where(np.isfinite(greatest), greatest, case)


def _expected(listed: Flags, agreed: Flags, folds: NDArray[np.int64]) -> Flags:
    """Mark the entries that each loss should have: in its own runs, those that any loss has there.

    A case that none of its runs holds is expected in the runs that it has of the case's fold. Where it has no run of
    that fold it was never run on the case, and nothing is expected.
    """
    telling: Flags = np.any(listed & ~agreed, axis=0)
    own: Flags = np.any(listed, axis=(2, 3), keepdims=True)
    seen: Flags = np.any(listed, axis=3)
    expected = own & telling & (listed | ~_in_another_fold(seen, folds)[..., None])

    # Rightly empty in its own runs, where only a network of another run invented something.
    expected |= listed & telling.any(axis=0) & ~expected.any(axis=1, keepdims=True)

    same = folds[:, None] == folds
    in_fold: Flags = (same @ telling.reshape(len(folds), -1)).reshape(telling.shape)
    covered: Flags = np.any(expected, axis=(1, 3), keepdims=True)
    return np.asarray(expected | (own & ~covered & in_fold))


def _in_another_fold(seen: Flags, folds: NDArray[np.int64]) -> Flags:
    """Mark the cases that a loss has in another fold than the run's, (losses, runs, cases).

    Tables may number folds each in its own way. Cases that some loss has in several folds do not count: of such a
    table, every fold has all cases.
    """
    same = folds[:, None] == folds
    here, elsewhere = same @ seen, ~same @ seen
    return np.asarray(elsewhere & ~here & ~(here & elsewhere).any(axis=(0, 1)))


def _extreme(values: Floats, sign: int) -> float:
    return float(np.nanmax(values) if sign > 0 else np.nanmin(values))


def _mean(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """Average the finite values; NaN where there are none, without the warning of np.nanmean."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
