"""Plain CSV, as we write it: commas, a header, numbers with a point. Needs the standard library only."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from lossodyssey.table.columns import OURS, Layout, layout
from lossodyssey.table.numbers import is_missing
from lossodyssey.table.row import DEFAULTS, Row

TEXTS = ("loss", "dataset", "case", "class", "metric", "status", "engine", "group", "stratum", "better")
NUMBERS = ("fold", "seed", "value", "size", "greatest")


class NotPlain(ValueError):
    """What about a table is not plain CSV."""


def read_plain(path: Path, text: str, columns: Mapping[str, str], by: str) -> tuple[list[Row], list[str]]:
    """Return the rows of plain CSV and notes. Raises NotPlain at the first thing that has to be interpreted."""
    reader = csv.reader(io.StringIO(text))
    try:
        header = next(reader, [""])
        if len(header) < 2 or any(name != name.strip() for name in header):
            raise NotPlain(f"{path}, line 1: {header} is not a header of plain CSV")
        found = layout(path, header, columns, by)
    except (ValueError, csv.Error) as error:
        raise NotPlain(str(error)) from None
    if found.wide:
        raise NotPlain(f"{path}: there is one column per metric")
    return list(_rows(path, reader, found)), list(found.notes)


def _rows(path: Path, reader: Any, found: Layout) -> Iterator[Row]:
    width = len(found.header)
    place = {name: width + i for i, name in enumerate(OURS)} | found.at
    absent = [(DEFAULTS | {"metric": found.metric}).get(name, "") for name in OURS]
    if found.by is not None:
        place["stratum"] = found.by
    texts, numbers = (itemgetter(*(place[name] for name in names)) for names in (TEXTS, NUMBERS))
    known: dict[str, str] = {}
    try:
        for cells in filter(None, reader):
            if len(cells) != width:
                raise ValueError(f"{len(cells)} fields; the header has {width}")
            cells += absent
            yield _row([known.setdefault(cell, cell) for cell in texts(cells)], numbers(cells))
    except (ValueError, csv.Error) as error:
        raise NotPlain(f"{path}, line {reader.line_num}: {error}") from None


def _row(texts: list[str], numbers: tuple[str, ...]) -> Row:
    """Make a row of cells, equal texts being one object already. Raises ValueError for a cell to be interpreted."""
    if (
        not all(texts[:5])
        or is_missing(texts[0])
        or is_missing(texts[2])
        or any(text[:1].isspace() or text[-1:].isspace() for text in texts)
    ):
        raise ValueError(f"a name is empty, or has spaces around it, in {texts}")
    loss, dataset, case, class_name, metric, status, engine, group, stratum, better = texts
    fold, seed, *rest = numbers
    value, size, greatest = (float(number) if number else math.nan for number in rest)
    status = status or ("missing" if math.isnan(value) else "ok")
    return Row(
        loss, dataset, int(fold), int(seed), case, class_name, metric, value, status,
        engine, group, size, greatest, stratum, better,
    )  # fmt: skip
