"""One task and metric before averaging: losses x runs x cases x classes, and what to do about its holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.measures import Measure
from lossodyssey.table import Row

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cube:
    """Values by (loss, run, case, class), a run being one fold and seed.

    `expected` marks the entries that a loss owes: in its own runs those that any loss has, and for a case that none
    of its runs covers, all of them. An entry that is empty in truth and in every prediction says nothing and is not
    expected; where some loss predicts something there, leaving it empty is the best value.
    """

    losses: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]
    cases: tuple[str, ...]
    measure: Measure
    values: Floats
    expected: Flags

    @classmethod
    def build(cls, rows: Sequence[Row], losses: tuple[str, ...], measure: Measure) -> Cube:
        """Fill the cube from the rows of one task and metric."""
        runs = tuple(sorted({(row.fold, row.seed) for row in rows}))
        cases = tuple(dict.fromkeys(row.case for row in rows))
        classes = tuple(dict.fromkeys(row.class_name for row in rows))
        place = [{name: i for i, name in enumerate(axis)} for axis in (losses, cases, classes)]
        run = {key: i for i, key in enumerate(runs)}
        shape = (len(losses), len(runs), len(cases), len(classes))
        values, listed, agreed = np.full(shape, np.nan), np.zeros(shape, bool), np.zeros(shape, bool)
        for row in rows:
            at = place[0][row.loss], run[row.fold, row.seed], place[1][row.case], place[2][row.class_name]
            listed[at] = True
            values[at] = row.value if np.isfinite(row.value) else np.nan
            agreed[at] = row.status == "both_empty" and not np.isfinite(row.value)
        if np.isfinite(values).any():
            values[agreed] = measure.best if np.isfinite(measure.best) else _extreme(values, measure.sign)
        return cls(losses, runs, cases, measure, values, _expected(listed, agreed))

    @property
    def missing(self) -> Flags:
        """Entries that are owed and have no value."""
        return self.expected & ~np.isfinite(self.values)

    def usable(self, policy: str) -> set[str]:
        """Cases that can enter the ranking under the policy."""
        owed, lost = self.expected.sum(axis=(0, 1, 3)), self.missing.sum(axis=(0, 1, 3))
        usable = (owed > 0) & ((lost == 0) | (policy != "drop"))
        return {case for case, ok in zip(self.cases, usable, strict=True) if ok}

    def by_case(self, policy: str) -> tuple[Floats, Floats]:
        """Fill the holes and average the classes: (losses, runs, cases), NaN where nothing is owed; then the runs."""
        filled = np.where(self.missing, self._stand_in(policy), self.values)
        by_run = _mean(np.where(self.expected, filled, np.nan), axis=3)
        return by_run, _mean(by_run, axis=1)

    def seed_deviation(self, by_run: Floats) -> Floats:
        """Standard deviation over seeds of each loss's mean over cases; NaN with one seed."""
        seeds = np.array([seed for _, seed in self.runs])
        means = np.stack([_mean(by_run[:, seeds == seed], axis=(1, 2)) for seed in np.unique(seeds)], axis=1)
        count = np.isfinite(means).sum(axis=1)
        squares = np.nansum((means - _mean(means, axis=1)[:, None]) ** 2, axis=1)
        return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)

    def members(self, cases: Sequence[str], groups: Mapping[str, str]) -> tuple[tuple[str, ...], Floats]:
        """Return the names of the groups (patients) of the chosen cases, and (all cases, groups): 1 for a member."""
        names = tuple(dict.fromkeys(groups[case] for case in cases))
        column = {name: i for i, name in enumerate(names)}
        member = np.zeros((len(self.cases), len(names)))
        chosen = set(cases)
        for i, case in enumerate(self.cases):
            if case in chosen:
                member[i, column[groups[case]]] = 1
        return names, member

    def _stand_in(self, policy: str) -> float:
        worst = _extreme(self.values, -self.measure.sign)
        if policy == "last":
            spread = float(np.nanmax(self.values) - np.nanmin(self.values))
            return worst - self.measure.sign * (spread or 1.0)
        return self.measure.worst if np.isfinite(self.measure.worst) else worst


def _expected(listed: Flags, agreed: Flags) -> Flags:
    telling: Flags = np.any(listed & ~agreed, axis=0)
    own: Flags = np.any(listed, axis=(2, 3), keepdims=True)
    covered: Flags = np.any(own & telling, axis=(1, 3), keepdims=True)
    return (own | ~covered) & telling


def _extreme(values: Floats, sign: int) -> float:
    return float(np.nanmax(values) if sign > 0 else np.nanmin(values))


def _mean(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """Mean of what is not NaN; NaN without a warning where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
