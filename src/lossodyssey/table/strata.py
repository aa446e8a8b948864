"""Strata of the cases by a column of the table: its values, or thirds of its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lossodyssey.table.numbers import BadCell, is_missing, parse_column
from lossodyssey.table.row import Row

MANY = 8
Key = tuple[str, int, int, str, str]


def cut(rows: Sequence[Row], by: str) -> tuple[list[Row], list[str]]:
    """Name the stratum of every row by the column `by`; return the rows, and notes on it.

    Numbers with more than 8 different values are cut into thirds of the cases, named with their limits. A case
    without a value is in a stratum of its own, and is counted.

    Raises:
        ValueError: the column differs between the rows of a case, or no two cases share a value of it.
    """
    if not by:
        return list(rows), []
    words = _by_case(rows, by)
    names, notes = _names(words, by)
    lost = sum(not word for word in words.values())
    if lost:
        notes.append(f"by {by}: {lost} of {len(words)} cases have no value and form the stratum '{by} unknown'")
    return [replace(row, stratum=names[words[_key(row)]]) for row in rows], notes


def _key(row: Row) -> Key:
    return row.dataset, row.fold, row.seed, row.case, row.class_name


def _by_case(rows: Sequence[Row], by: str) -> dict[Key, str]:
    words: dict[Key, str] = {}
    spelled = _spelled({row.stratum for row in rows})
    for row in rows:
        word = spelled[row.stratum]
        # Tables joined per loss need not all carry the column: one that does speaks for the case.
        known = words.setdefault(_key(row), word)
        if word and known and word != known:
            raise ValueError(
                f"by {by}: case {row.case!r} has {known!r} and {word!r}; expected a column that says one thing of a "
                "case, for all losses and metrics"
            )
        words[_key(row)] = known or word
    return words


def _spelled(words: Iterable[str]) -> dict[str, str]:
    """Return one spelling of each word: 1, 1.0 and 1,0 are one centre; a word for a missing value becomes empty."""
    numbers = _numbers(sorted(words))
    first: dict[float, str] = {}
    same = {word: first.setdefault(number, word) for word, number in numbers.items() if not is_missing(word)}
    return {word: "" if is_missing(word) else same.get(word, word) for word in words}


def _names(words: Mapping[Key, str], by: str) -> tuple[dict[str, str], list[str]]:
    """Return the stratum of each word of the column, and notes."""
    distinct = list(dict.fromkeys(word for word in words.values() if word))
    if len(distinct) < 2:
        raise ValueError(f"by {by}: the column holds {distinct}; expected two values or more")
    numbers = _numbers(distinct)
    if len(numbers) > MANY:
        return _thirds(words, numbers, by)
    cases: dict[str, set[str]] = {}
    for key, word in words.items():
        cases.setdefault(word, set()).add(key[3])
    # A name or a date per case makes strata of one case each, in which nothing can be tested.
    if max(len(found) for found in cases.values()) == 1:
        raise ValueError(f"by {by}: each of {len(distinct)} values belongs to one case; expected groups of cases")
    return {"": f"{by} unknown"} | {word: word for word in distinct}, []


def _numbers(words: Sequence[str]) -> dict[str, float]:
    """Return the number of each word; empty where a word is not a number."""
    try:
        return dict(zip(words, parse_column(words, ";")[0], strict=True))
    except BadCell:
        return {}


def _thirds(words: Mapping[Key, str], numbers: Mapping[str, float], by: str) -> tuple[dict[str, str], list[str]]:
    # Unique: where a third of the cases share one number, two edges fall together.
    edges = np.unique(np.quantile([numbers[word] for word in words.values() if word], [1 / 3, 2 / 3]))
    limits = [f"{edge:.4g}" for edge in edges]
    labels = [
        f"{by} <= {limits[0]}",
        *(f"{limits[0]} < {by} <= {limits[1]}" for _ in limits[1:]),
        f"{by} > {limits[-1]}",
    ]
    names = {word: labels[int(np.searchsorted(edges, number))] for word, number in numbers.items()}
    counts = [sum(names.get(word) == label for word in words.values()) for label in labels]
    said = ", ".join(f"{label} ({count} cases)" for label, count in zip(labels, counts, strict=True))
    return names | {"": f"{by} unknown"}, [f"by {by}: {len(numbers)} different numbers, cut into thirds: {said}"]
