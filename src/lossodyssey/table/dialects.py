"""Rows of a table that is not plain CSV: every cell is interpreted, or refused by its line and column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from lossodyssey.table.columns import Layout, Wanted, layout
from lossodyssey.table.numbers import BadCell, is_missing, parse_column
from lossodyssey.table.row import DEFAULTS, Row, status_of
from lossodyssey.table.sheet import Sheet, read_sheet

NEEDED = ("loss", "case", "metric")


def read_any(path: Path, text: str, wanted: Wanted, reason: Exception) -> tuple[list[Row], list[str]]:
    """Return the rows of a table in any dialect and notes.

    `reason` is the error of the reader of plain CSV, told where pandas is not installed.

    Raises:
        ValueError: a cell or a line cannot be read, see `read_rows`.
    """
    sheet = read_sheet(path, text, reason)
    found = layout(path, sheet.header, wanted)
    reader = Cells(sheet, found)
    rows = list(reader.rows())
    return rows, [*found.notes, *reader.notes]


class Cells:
    """Texts and numbers of our columns, row by row."""

    def __init__(self, sheet: Sheet, found: Layout) -> None:
        self.sheet = sheet
        self.found = found
        self.notes: list[str] = []

    def rows(self) -> Iterator[Row]:
        """Go through the rows; of a table with one column per metric, through the metrics of each."""
        # Column by column, each distinct word once: tables of a million rows hold few different texts.
        loss, dataset, case, class_name = (self._texts(name) for name in ("loss", "dataset", "case", "class"))
        status, engine, group = (self._texts(name) for name in ("status", "engine", "group"))
        better, lengths = (self._texts(name) for name in ("better", "lengths"))
        fold, seed = self._whole("fold"), self._whole("seed")
        size, greatest = (self._numbers(self.found.at.get(name)) for name in ("size", "greatest"))
        stratum = self._words(self.found.by if self.found.by is not None else self.found.at.get("stratum"), "")
        for values, metric in self._values():
            known = [status_of(value, word.casefold()) for value, word in zip(values, status, strict=True)]
            yield from map(
                Row, loss, dataset, fold, seed, case, class_name, metric, values, known,
                engine, group, size, greatest, stratum, better, lengths,
            )  # fmt: skip

    def _values(self) -> Iterator[tuple[list[float], list[str]]]:
        if self.found.wide:
            for metric, place in self.found.wide.items():
                yield self._numbers(place), [metric] * self.count
        else:
            metrics = self._texts("metric") if "metric" in self.found.at else [self.found.fixed["metric"]] * self.count
            yield self._numbers(self.found.at["value"]), metrics

    @property
    def count(self) -> int:
        return len(self.sheet.codes[0])

    def _texts(self, name: str) -> list[str]:
        """Return a column of ours as text; refuse an empty cell where every row needs one."""
        place, default = self.found.at.get(name), self.found.fixed.get(name, "")
        if place is None or name not in NEEDED + tuple(DEFAULTS):
            return self._words(place, default)
        words = self.sheet.words[place]
        # A column that is empty throughout is as good as absent.
        if name in DEFAULTS and all(map(is_missing, words)):
            return [default] * self.count
        empty = next((word for word in words if not word or (name in NEEDED and is_missing(word))), None)
        if empty is not None:
            raise self._bad(place, empty, f"every row names its {name}")
        return [words[code] for code in self.sheet.codes[place].tolist()]

    def _words(self, place: int | None, default: str) -> list[str]:
        if place is None:
            return [default] * self.count
        words = [default if is_missing(word) else word for word in self.sheet.words[place]]
        return [words[code] for code in self.sheet.codes[place].tolist()]

    def _numbers(self, place: int | None) -> list[float]:
        if place is None:
            return [math.nan] * self.count
        numbers = self._parsed(place)
        return [numbers[code] for code in self.sheet.codes[place].tolist()]

    def _parsed(self, place: int) -> list[float]:
        words = self.sheet.words[place]
        try:
            numbers, notes = parse_column(words, self.sheet.separator)
        except BadCell as bad:
            raise self._bad(place, bad.text, f"expected {bad}") from None
        self.notes += [f"{self.sheet.path}, column {self.sheet.header[place]}: {note}" for note in notes]
        return numbers

    def _whole(self, name: str) -> list[int]:
        """Return folds or seeds; 2.0 is 2, and a column without any number is 0."""
        place = self.found.at.get(name)
        if place is None or all(map(is_missing, self.sheet.words[place])):
            return [0] * self.count
        numbers = self._parsed(place)
        for word, number in zip(self.sheet.words[place], numbers, strict=True):
            # NaN is not an integer either: a seed that is missing in some rows only is refused here.
            if not number.is_integer():
                raise self._bad(place, word, "expected an integer")
        whole = [int(number) for number in numbers]
        return [whole[code] for code in self.sheet.codes[place].tolist()]

    def _bad(self, place: int, word: str, expected: str) -> ValueError:
        column = self.sheet.header[place]
        seen = f"holds {word!r}" if word else "is empty"
        again = " (the header a second time?)" if word == column else ""
        line = self.sheet.line(self.sheet.find(place, word))
        return ValueError(f"{self.sheet.path}, line {line}: column {column} {seen}; {expected}{again}")
