"""Plain CSV, as we write it: commas, a header, numbers with a point. Needs the standard library only."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from lossodyssey.table.columns import OURS, Layout, Wanted, layout
from lossodyssey.table.numbers import is_missing
from lossodyssey.table.row import Row, status_of

NAMES = ("loss", "dataset", "case", "class", "metric")
WORDS = ("engine", "group", "stratum", "better", "lengths")
NUMBERS = ("fold", "seed", "value", "size", "greatest")


class NotPlain(ValueError):
    """The reason why a table is not plain CSV."""


def read_plain(path: Path, text: str, wanted: Wanted) -> tuple[list[Row], list[str]]:
    """Return the rows of plain CSV and notes.

    Raises:
        NotPlain: something has to be interpreted, which is the task of `dialects`.
    """
    reader = csv.reader(io.StringIO(text))
    try:
        header = next(reader, [""])
        if len(header) < 2 or any(name != name.strip() for name in header):
            raise NotPlain(f"{path}, line 1: {header} is not a header of plain CSV")
        found = layout(path, header, wanted)
    except (ValueError, csv.Error) as error:
        raise NotPlain(str(error)) from None
    if found.wide:
        raise NotPlain(f"{path}: there is one column per metric")
    return list(_rows(path, reader, found)), list(found.notes)


def _rows(path: Path, reader: Any, found: Layout) -> Iterator[Row]:
    width = len(found.header)
    # Absent columns get places after the row, where `cells += absent` puts their fixed texts.
    place = {name: width + i for i, name in enumerate(OURS)} | found.at
    absent = [found.fixed.get(name, "") for name in OURS]
    if found.by is not None:
        place["stratum"] = found.by

    names, words, numbers = (itemgetter(*(place[name] for name in group)) for group in (NAMES, WORDS, NUMBERS))
    # Dictionaries that check a text when it is new: in a long table almost every text is an old one.
    name, word, status = Names().__getitem__, Words().__getitem__, Statuses().__getitem__

    try:
        for cells in filter(None, reader):
            if len(cells) != width:
                raise ValueError(f"{len(cells)} fields; the header has {width}")
            cells += absent
            yield _row(map(name, names(cells)), status(cells[place["status"]]), map(word, words(cells)), numbers(cells))
    except (ValueError, csv.Error) as error:
        raise NotPlain(f"{path}, line {reader.line_num}: {error}") from None


class Words(dict[str, str]):
    """Texts seen so far, so that equal ones are one object; a text with spaces around it is refused."""

    def __missing__(self, text: str) -> str:
        if text != text.strip():
            raise ValueError(f"there are spaces around {text!r}")
        return self.setdefault(text, text)


class Statuses(Words):
    """Statuses, whose capitals mean nothing: an OK is "ok"."""

    def __missing__(self, text: str) -> str:
        return self.setdefault(text, text.strip().casefold())


class Names(Words):
    """Texts that must be there: a word that stands for a missing value is refused, too."""

    def __missing__(self, text: str) -> str:
        if is_missing(text):
            raise ValueError(f"{text!r} stands where a name is expected")
        return super().__missing__(text)


def _row(names: Iterable[str], status: str, words: Iterable[str], numbers: tuple[str, ...]) -> Row:
    loss, dataset, case, class_name, metric = names
    engine, group, stratum, better, lengths = words
    fold, seed, value, size, greatest = numbers
    number = float(value) if value else math.nan
    return Row(
        loss, dataset, int(fold), int(seed), case, class_name, metric, number,
        status_of(number, status), engine, group,
        float(size) if size else math.nan, float(greatest) if greatest else math.nan, stratum, better,
        lengths,
    )  # fmt: skip
