"""The long table `cases.csv`: one row per loss, seed, case, class and metric.

Everything after training (ranking, report) knows this table and nothing else.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.atomic import writing

COLUMNS = ("loss", "dataset", "fold", "seed", "case", "class", "metric", "value", "status")


@dataclass(frozen=True, slots=True)
class Row:
    """One value of the table. `value` is NaN wherever `status` is not "ok"."""

    loss: str
    dataset: str
    fold: int
    seed: int
    case: str
    class_name: str
    metric: str
    value: float
    status: str = "ok"


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Write the table as CSV, whole or not at all; NaN becomes an empty field."""
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            value = "" if math.isnan(row.value) else repr(row.value)
            writer.writerow(
                [row.loss, row.dataset, row.fold, row.seed, row.case, row.class_name, row.metric, value, row.status]
            )


def read_rows(path: str | Path) -> list[Row]:
    """Read `cases.csv`; a ValueError names the file, the line and what was expected."""
    path = Path(path)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: columns {missing} are missing; expected {list(COLUMNS)}")
        return [_row(path, reader.line_num, record) for record in reader]


def _row(path: Path, line: int, record: dict[str, str]) -> Row:
    try:
        return Row(
            loss=record["loss"],
            dataset=record["dataset"],
            fold=int(record["fold"]),
            seed=int(record["seed"]),
            case=record["case"],
            class_name=record["class"],
            metric=record["metric"],
            value=float(record["value"]) if record["value"] else math.nan,
            status=record["status"],
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}, line {line}: {error}; fold and seed are integers, value is a number") from None
