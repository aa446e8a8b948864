"""One row of the long table `cases.csv`, and the file as we write it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from tempfile import SpooledTemporaryFile

from lossodyssey.atomic import writing

COLUMNS = ("loss", "dataset", "fold", "seed", "case", "class", "metric", "value", "status")
OPTIONAL = ("engine", "group", "size", "greatest", "better", "stratum", "lengths")
IN_MEMORY = 1 << 24
NOT_ANNOTATED = "not_annotated"
"""The status of a class in a case in which it is not annotated: no result is expected there."""
DEFAULTS = {"dataset": "data", "fold": "0", "seed": "0", "class": "foreground"}


@dataclass(frozen=True, slots=True)
class Row:
    """One value of the table.

    `value` is NaN wherever `status` is not "ok". `engine` names the engine of the training, `group` the unit that
    several cases share (a patient), `size` the true volume of the class in the case (any unit, one per table),
    `greatest` the greatest value that a distance can take in the case, `stratum` the part of the data set that the
    case belongs to. `better` says which way a metric points whose name does not: "higher", "lower" or "nearer 0";
    `lengths` in what a length or a volume is measured: "mm", or "px" where the size of a pixel is not known.
    """

    loss: str
    dataset: str
    fold: int
    seed: int
    case: str
    class_name: str
    metric: str
    value: float
    status: str = "ok"
    engine: str = ""
    group: str = ""
    size: float = math.nan
    greatest: float = math.nan
    stratum: str = ""
    better: str = ""
    lengths: str = ""

    def cells(self) -> list[str]:
        """Return the fields as text in the order of `COLUMNS + OPTIONAL`; NaN is the empty text."""
        head = [self.loss, self.dataset, str(self.fold), str(self.seed), self.case, self.class_name, self.metric]
        tail = [_text(self.size), _text(self.greatest), self.better, self.stratum, self.lengths]
        return [*head, _text(self.value), self.status, self.engine, self.group, *tail]


class Table(list[Row]):
    """Rows, and in `notes` the decisions of reading them."""

    def __init__(self, rows: Iterable[Row] = (), notes: Iterable[str] = ()) -> None:
        super().__init__(rows)
        self.notes = tuple(dict.fromkeys(notes))


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Write the table as CSV, whole or not at all; an optional column appears where a row fills it.

    Rows are taken one by one, and a long table waits on the disk until its columns are known.
    """
    with (
        writing(path) as draft,
        SpooledTemporaryFile(IN_MEMORY, "w+", newline="", encoding="utf-8", dir=str(draft.parent)) as all_columns,
        draft.open("w", newline="", encoding="utf-8") as file,
    ):
        names, filled = COLUMNS + OPTIONAL, [True] * len(COLUMNS) + [False] * len(OPTIONAL)
        whole, writer = csv.writer(all_columns), csv.writer(file, lineterminator="\n")
        for row in rows:
            cells = row.cells()
            filled = [known or cell != "" for known, cell in zip(filled, cells, strict=True)]
            whole.writerow(cells)
        all_columns.seek(0)
        writer.writerow(compress(names, filled))
        writer.writerows(compress(cells, filled) for cells in csv.reader(all_columns))


def status_of(value: float, status: str) -> str:
    """Return the status of a value: the table's own, but "missing" where the table says nothing of an absent value."""
    if status in ("", "ok"):
        return "missing" if math.isnan(value) else "ok"
    return status


def _text(value: float) -> str:
    # repr gives the shortest text that reads back to the same bits.
    return "" if math.isnan(value) else repr(float(value))
