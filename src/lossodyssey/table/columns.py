"""The meaning of a table's columns: our names, those of others, and one column per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from lossodyssey.cards import canonical, fold, spelled
from lossodyssey.table.row import COLUMNS, DEFAULTS, OPTIONAL

OURS = COLUMNS + OPTIONAL
# The words of challengeR (Task, TestCase, Algorithm, MetricValue; alg_name in its example) and of usual scripts.
ALIASES = {
    "loss": ("loss_function", "loss_name", "algorithm", "alg_name", "method", "model"),
    "dataset": ("task",),
    "case": ("test_case", "case_id", "image", "image_id", "subject", "subject_id"),
    "class": ("label", "structure", "organ"),
    "metric": ("measure", "metric_name"),
    "value": ("metric_value", "score"),
}


@dataclass(frozen=True)
class Layout:
    """Where a table's header puts our columns.

    `at` gives the place of each of our columns that the table has, `wide` the place of each metric that has a column
    to itself, `fixed` the text of all rows where no column says it, `by` the place of the column of strata.
    """

    header: tuple[str, ...]
    at: dict[str, int]
    wide: dict[str, int]
    fixed: dict[str, str]
    by: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """The user's statements on a table: names of columns, the column of strata, the loss that all its rows are of."""

    columns: Mapping[str, str]
    by: str = ""
    loss: str = ""


def layout(path: Path, header: Sequence[str], wanted: Wanted) -> Layout:
    """Find our columns in the header, whatever the case of its letters, by our names, by the user's, by other words.

    Raises:
        ValueError: loss, case or value are missing, two columns could be one of ours, or a column of the user's is not
            there.
    """
    # The user's names come first, then ours, then usual words: the more explicit wins.
    places = _places(header)
    chosen = {ours: _chosen(path, header, ours, theirs) for ours, theirs in wanted.columns.items()}
    given = wanted.columns["metric"] if chosen.get("metric", 0) < 0 else ""
    at = {ours: place for ours, place in chosen.items() if place >= 0}
    notes = _fill(path, header, places, at)

    # Without a column of values, every column named like a metric holds one.
    stratum = _chosen(path, header, "by", wanted.by) if wanted.by else None
    taken = {*at.values(), stratum}
    wide = {} if "value" in at else {name: i for i, name in enumerate(header) if i not in taken and canonical(name)}
    _check_needed(path, header, at, wide, wanted.loss)

    metric = "" if "metric" in at or wide else given or header[at["value"]]
    notes += _said(path, wide, metric)
    notes += _unread(path, header, taken | set(wide.values()))
    wide = {spelled(name): place for name, place in wide.items()}
    fixed = DEFAULTS | {"metric": spelled(metric), "loss": wanted.loss}
    return Layout(tuple(header), at, wide, fixed, stratum, tuple(notes))


def known_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return `columns`, checked.

    Raises:
        ValueError: a name on the left is not one of ours.
    """
    unknown = [name for name in columns or {} if name not in OURS]
    if unknown:
        raise ValueError(f"columns: {unknown} are not ours; expected some of {list(OURS)}")
    return dict(columns or {})


def _places(header: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header):
        places.setdefault(fold(name), []).append(place)
    return places


def _chosen(path: Path, header: Sequence[str], ours: str, theirs: str) -> int:
    """Find a column that the user named; -1 where the name is that of a metric and says what all rows hold."""
    # Exact spelling first: a table may hold both Dice and DICE.
    exact = [i for i, name in enumerate(header) if name == theirs]
    found = exact or [i for i, name in enumerate(header) if fold(name) == fold(theirs)]
    if ours == "by" and not found and theirs in OURS:
        found = [i for i, name in enumerate(header) if name in ALIASES.get(theirs, ())]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{path}: {len(found)} columns are called {theirs!r}; rename all but one of {list(header)}")
    if ours == "metric" and canonical(theirs):
        return -1
    if ours == "by":
        raise ValueError(f"{path}: no column is called {theirs!r} (by); expected one of {_listed(header)}")
    raise ValueError(f"{path}: columns {[theirs]} are missing; found {_listed(header)}, expected one for {ours}")


def _fill(path: Path, header: Sequence[str], places: Mapping[str, list[int]], at: dict[str, int]) -> list[str]:
    """Add the columns that the header calls by our names or by other words; return notes on the other words."""
    read = []
    for ours in OURS:
        own = [i for i in places.get(fold(ours), []) if i not in at.values()]
        other = [i for word in ALIASES.get(ours, ()) for i in places.get(fold(word), []) if i not in at.values()]
        # An own name wins over an alias, so `loss` beside `model` is not ambiguous.
        found = own or other
        if ours in at or not found:
            continue
        if len(found) > 1:
            names = [header[i] for i in found]
            fix = f"--column {ours}={quote(names[0])}" if len(set(names)) > 1 else "a new name for all but one"
            raise ValueError(f"{path}: columns {names} could all be {ours}; say which with {fix}")
        at[ours] = found[0]
        if not own:
            read.append(f"{header[found[0]]} as {ours}")
    return [f"{path}: read {', '.join(read)}"] if read else []


def _check_needed(path: Path, header: Sequence[str], at: Mapping[str, int], wide: Mapping[str, int], loss: str) -> None:
    if loss and "loss" in at:
        column = header[at["loss"]]
        raise ValueError(f"{path}: column {column} names the loss, and so does {loss}=; leave one out")

    missing = [name for name in ("loss", "case") if name not in at and not (name == "loss" and loss)]
    if "value" not in at and not wide:
        missing.append("value")
    if not missing:
        if len({spelled(name) for name in wide}) < len(wide):
            raise ValueError(f"{path}: columns {list(wide)} name one measure twice; rename or remove one")
        return

    example = " ".join(f"--column {name}=YOURS" for name in missing)
    raise ValueError(
        f"{path}: columns {missing} are missing; found {_listed(header)}. Say what you call them: {example}. A table "
        f"of one loss is given as LOSS={path.name}; one with a column per loss must be made long first (pandas: "
        "frame.melt('case', var_name='loss', value_name='DSC'))"
    )


def _said(path: Path, wide: Mapping[str, int], metric: str) -> list[str]:
    if wide:
        names = [name if spelled(name) == name else f"{name} (as {spelled(name)})" for name in wide]
        return [f"{path}: one column per metric; read {', '.join(names)}"]
    if metric and not canonical(metric):
        return [
            f"{path}: no column names the metric, so it is called {metric!r} after its column "
            "(--column metric=DSC gives it the name of a known one)"
        ]
    return []


def _unread(path: Path, header: Sequence[str], used: set[int | None]) -> list[str]:
    free = [name for i, name in enumerate(header) if i not in used and name]
    return [f"{path}: columns not read: {', '.join(free)} (--by makes strata of a column)"] if free else []


def _listed(header: Sequence[str]) -> list[str]:
    return [name for name in header if name]
