"""The table of a comparison that is still under way: the rows of the runs that have ended, and all that is missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossodyssey.bench.measures import decoded, decoding_of
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.status import State, read_state
from lossodyssey.table import Row, Table, read_rows

Place = tuple[str, int, int]
"""Data set, fold and seed of a run."""
Rows = Mapping[str, Mapping[Place, Sequence[Row]]]

LENGTHS = ("steps", "epochs")
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Partial:
    """Rows that all losses have in common, notes on what is missing in `rows.notes`, and the folders of their runs."""

    rows: Table
    folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Ended:
    folder: Path
    record: Record

    @property
    def place(self) -> Place:
        return self.record.dataset, self.record.fold, self.record.seed

    @property
    def length(self) -> int:
        return max((int(self.record.settings[name]) for name in LENGTHS if name in self.record.settings), default=0)


def read_partial(output: Path, length: int | None = None) -> Partial:
    """Read what the finished and diverged runs of a comparison give so far; searches of learning rates are left out.

    Of several lengths of training the longest counts, or only `length`, and of all seeds and folds those that every
    loss has.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: fewer than two losses have results in common, or the folder holds one run with several settings.
    """
    state = read_state(output)
    runs, notes = _longest(state, length)
    rows = _by_loss(runs, notes)
    kept, common = _in_common(rows, output)
    notes = [_count(state), *_absent(state, rows), *_fewer(rows, kept, common), *notes]
    chosen = [row for loss in kept for place in sorted(common) for row in rows[loss][place]]
    shown = _without_decoding(kept)
    folders = tuple(run.folder for run in runs if run.record.label in shown and run.place in common)
    return Partial(Table(sorted(chosen, key=_order), notes), folders)


def shorter_lengths(output: Path) -> list[int]:
    """Return the lengths of training below the longest one for which there are ended runs, in rising order."""
    return sorted({run.length for run in _ended(read_state(output))})[:-1]


def _ended(state: State) -> list[_Ended]:
    return [
        _Ended(run.folder, read_record(run.folder))
        for run in state.runs
        if run.state in ("finished", "diverged") and run.facts.get("purpose", "table") == "table"
    ]


def _longest(state: State, length: int | None = None) -> tuple[list[_Ended], list[str]]:
    """Return the ended runs of the longest trainings of each data set, or of one length, and a note on the others."""
    ended = _ended(state)
    if length is not None:
        return [run for run in ended if run.length == length], []
    longest: dict[str, int] = {}
    for run in ended:
        longest[run.record.dataset] = max(run.length, longest.get(run.record.dataset, 0))
    kept = [run for run in ended if run.length == longest[run.record.dataset]]
    shorter = len(ended) - len(kept)
    return kept, [f"runs of shorter trainings are left out: {shorter}"] * bool(shorter)


def _by_loss(runs: Sequence[_Ended], notes: list[str]) -> Rows:
    found: dict[str, dict[Place, list[Row]]] = {}
    owner: dict[tuple[str, Place], Path] = {}
    for run in runs:
        key = (run.record.label, run.place)
        if key in owner:
            raise ValueError(
                f"{run.folder}: is a run of {key[0]} with the seed of {owner[key].name}, but with other settings or "
                "data; move the runs of one of both comparisons to a folder of their own"
            )
        owner[key] = run.folder
        if run.record.status == "finished":
            for row in read_rows(run.folder / "cases.csv"):
                found.setdefault(row.loss, {}).setdefault(run.place, []).append(row)
    patterns = {
        (*place[:2], decoding_of(loss)): rows for loss, places in found.items() for place, rows in places.items()
    }
    for run in runs:
        if run.record.status == "diverged":
            for decoding in run.record.decoding:
                loss = decoded(run.record.label, decoding)
                if pattern := patterns.get((*run.place[:2], decoding)):
                    found.setdefault(loss, {})[run.place] = list(_blank(pattern, loss, run.record.seed))
                else:
                    notes.append(f"{run.folder.name} diverged; no finished run says which cases it would have scored")
    return found


def _blank(pattern: Sequence[Row], loss: str, seed: int) -> Iterator[Row]:
    """Yield the rows of a diverged run, after those of a finished one on the same cases."""
    for row in pattern:
        yield replace(row, loss=loss, seed=seed, value=math.nan, status="diverged")


def _without_decoding(losses: Iterable[str]) -> set[str]:
    return {loss.removesuffix(f" [{decoding_of(loss)}]") for loss in losses}


def _in_common(rows: Rows, output: Path) -> tuple[list[str], set[Place]]:
    """Return the losses to compare, and the places that all of them have; those with fewest runs are left out first."""
    kept = sorted(rows, key=lambda loss: (-len(rows[loss]), loss))
    while len(kept) > 1:
        common = set.intersection(*(set(rows[loss]) for loss in kept))
        if common:
            return kept, common
        kept.pop()
    raise ValueError(
        f"{output}: fewer than two losses have a finished run of the same seed on the same cases, so there is nothing "
        "to rank yet; lossodyssey status says how far the runs are"
    )


def _count(state: State) -> str:
    counts = state.counts.get("table", Counter[str]())
    planned = state.planned.get("table")
    parts = [
        f"{counts[name]} {name}" for name in ("diverged", "failed", "running", "stopped", "damaged") if counts[name]
    ]
    whole = f" of {planned} planned" if planned else ", the number planned is not known"
    finished = counts["finished"]
    begin = "" if finished + counts["diverged"] == planned else "this comparison is not complete: "
    return f"{begin}{finished} run{'s' * (finished != 1)} finished{whole}" + f" ({', '.join(parts)})" * bool(parts)


def _absent(state: State, rows: Rows) -> Iterator[str]:
    begun = {str(run.facts.get("name") or run.facts.get("expression")) for run in state.runs if run.facts}
    if absent := sorted(begun - _without_decoding(rows)):
        yield f"no result yet of {_listed(absent)}"


def _fewer(rows: Rows, kept: Sequence[str], common: set[Place]) -> Iterator[str]:
    most = max(len(places) for places in rows.values())
    fewer = [f"{loss} ({len(places)} of {most})" for loss, places in sorted(rows.items()) if len(places) < most]
    if fewer:
        yield f"fewer runs than the others: {_listed(fewer)}"
    left = sorted(set(rows) - set(kept))
    if left:
        yield f"left out, for they share no seed with the others: {_listed(left)}"
    if fewer:
        yield f"ranked on the seeds and folds that all of them have: {len(common)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return "; ".join(names[:MOST_NAMED]) + more


def _order(row: Row) -> tuple[object, ...]:
    return (row.loss, row.dataset, row.fold, row.seed, row.case, row.class_name, row.metric)
