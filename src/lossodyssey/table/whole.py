"""Whether a table still holds all rows, as far as the records beside it say how many there were.

A CSV file that is cut at the end of a line is still a valid table. A run's `run.json`, those in `runs` and the summary
that `evaluate` writes tell how many rows there were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from lossodyssey.table.row import Row

OWN_NAME = "cases.csv"
LONGEST_LIST = 5
ENDED = ("finished", "diverged", "failed")


class Run(NamedTuple):
    """One training of a loss, as its record and its rows name it."""

    loss: str
    dataset: str
    seed: int


def check_whole(path: Path, rows: Sequence[Row]) -> list[str]:
    """Return notes on runs that lie beside the table and have no row in it.

    Raises:
        ValueError: the table has fewer rows than the records beside it say.
    """
    _check_summary(path, rows)
    records, notes = _records(path), _changed(path)
    if not records:
        return notes
    parts: dict[Run, dict[str, int]] = {}
    for row in rows:
        own = parts.setdefault(Run(row.loss, row.dataset, row.seed), {})
        own[row.case] = own.get(row.case, 0) + 1
    for run, cases in parts.items():
        if run in records:
            _check_run(path, run, cases, records[run])
    absent = [f"{run.loss} on {run.dataset}, seed {run.seed}" for run in records if run not in parts]
    if not absent:
        return notes
    more = f" and {len(absent) - LONGEST_LIST} more" if len(absent) > LONGEST_LIST else ""
    return [
        *notes,
        f"{path}: no rows of {len(absent)} runs that lie beside it ({'; '.join(absent[:LONGEST_LIST])}{more}); it was "
        "written without them, or cut",
    ]


def _check_run(path: Path, run: Run, cases: Mapping[str, int], expected: int) -> None:
    """Compare the cases of a run with its record, where that counts them; every case has as many rows as the others."""
    short = [case for case, count in cases.items() if count < max(cases.values())]
    if len(cases) >= expected and not short:
        return
    seen = f"{len(cases)} of {expected} cases" if len(cases) < expected else f"part of case {short[0]!r}"
    raise ValueError(
        f"{path}: holds {seen} of {run.loss} on {run.dataset}, seed {run.seed}, as the run's run.json counts them: the "
        "table was cut, or rows were taken out. The same lossodyssey train makes it whole again; a table of fewer rows "
        "that you want belongs under another name"
    )


def _changed(path: Path) -> list[str]:
    """Return a note where a run's own table is not the one of which its record keeps a fingerprint."""
    for facts in _objects([path.with_name("run.json")]):
        files = facts.get("files")
        kept = files.get(path.name) if isinstance(files, dict) else None
        if kept and kept != sha256(path.read_bytes()).hexdigest()[:16]:
            return [f"{path}: is not as the run left it (run.json keeps a fingerprint)"]
    return []


def _records(path: Path) -> dict[Run, int]:
    """Return how many cases each ended run has that lies beside our own table; 0 where its record does not say."""
    if path.name != OWN_NAME:
        return {}
    own = path.with_name("run.json")
    files = [own] if own.is_file() else sorted((path.parent / "runs").glob("*/run.json"))
    found: dict[Run, int] = {}
    for facts in _objects(files):
        seed, cases = facts.get("seed"), facts.get("cases")
        # Searches of rates and first stages have no rows in the table of a comparison.
        counts = files == [own] or facts.get("purpose", "table") == "table"
        if counts and facts.get("status") in ENDED and isinstance(seed, int):
            run = Run(str(facts.get("name") or facts.get("expression")), str(facts.get("dataset")), seed)
            count = cases if isinstance(cases, int) else 0
            # A folder may hold runs of one loss with other settings, and the table those of either.
            found[run] = min(count, found.get(run, count))
    return found


def _check_summary(path: Path, rows: Sequence[Row]) -> None:
    for facts in _objects([path.with_suffix(".summary.json")]):
        lines = facts.get("classes")
        counts = [line.get("statuses") for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
        expected = sum(sum(count.values()) for count in counts if isinstance(count, dict))
        if len(rows) < expected:
            raise ValueError(
                f"{path}: holds {len(rows)} rows, and {path.with_suffix('.summary.json').name} beside it counts "
                f"{expected}: the table was cut, or rows were taken out. Run lossodyssey evaluate again; a table of "
                "fewer rows that you want belongs under another name"
            )


def _objects(files: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """Go through the JSON objects in the files; those that cannot be read say nothing here."""
    for file in files:
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict):
            yield facts
