"""The table as it is written: row by row, whatever its length, with the columns that some row fills."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.table import COLUMNS, OPTIONAL, Row, read_rows, row, write_rows

TEXTS = ("Dice()", 'a, "b"', "line\nbreak", "ü", "return\rhere", "")


def rows(count: int) -> list[Row]:
    """Draw rows whose optional columns are filled here and there, the last one by the last row alone."""
    rng = np.random.default_rng(0)
    found = [
        Row(
            *("loss", "data", i % 3, i % 5, f"case {i}", TEXTS[i % 5], "DSC", float(rng.random())),
            group=TEXTS[i % 6],
            size=math.nan if i % 2 else float(rng.random()),
        )
        for i in range(count)
    ]
    return [*found, Row("loss", "data", 0, 0, "last", "object", "DSC", math.nan, "failed", better="higher")]


def at_once(table: list[Row]) -> str:
    """Write the table with everything in memory."""
    cells = [each.cells() for each in table]
    names = COLUMNS + OPTIONAL
    kept = [i for i in range(len(names)) if i < len(COLUMNS) or any(line[i] for line in cells)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([line[i] for i in kept] for line in [list(names), *cells])
    return text.getvalue()


@pytest.mark.parametrize("in_memory", [1, 1 << 24], ids=["on disk", "in memory"])
def test_a_table_taken_row_by_row_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(row, "IN_MEMORY", in_memory)
    table = rows(200)
    write_rows(tmp_path / "cases.csv", iter(table))
    assert (tmp_path / "cases.csv").read_bytes().decode() == at_once(table)
    assert list(tmp_path.iterdir()) == [tmp_path / "cases.csv"]


def test_rows_that_cannot_be_made_leave_the_earlier_table(tmp_path: Path) -> None:
    def broken() -> Iterator[Row]:
        yield from rows(3)
        raise ValueError("the next run cannot be read")

    write_rows(tmp_path / "cases.csv", rows(2))
    with pytest.raises(ValueError, match="next run"):
        write_rows(tmp_path / "cases.csv", broken())
    assert len(read_rows(tmp_path / "cases.csv")) == 3
    assert list(tmp_path.iterdir()) == [tmp_path / "cases.csv"]
