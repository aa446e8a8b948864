"""The long table `cases.csv`: one row per loss, seed, case, class and metric.

Everything after training (ranking, report) knows this table and nothing else.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.atomic import writing

COLUMNS = ("loss", "dataset", "fold", "seed", "case", "class", "metric", "value", "status")
OPTIONAL = ("engine", "group", "size", "greatest", "stratum")
NUMBERS = ("value", "size", "greatest")
DEFAULTS = {
    "dataset": "data", "fold": "0", "seed": "0", "class": "foreground", "metric": "DSC", "status": "ok",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One value of the table.

    `value` is NaN wherever `status` is not "ok". `engine` names what trained the network, `group` the unit that
    several cases share (a patient), `size` the true volume of the class in the case (any unit, one per table),
    `greatest` the greatest value that a distance can take in the case, `stratum` the part of the data set that the
    case belongs to.
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

    def cells(self) -> list[str]:
        """Return the fields as text in the order of `COLUMNS + OPTIONAL`; NaN is the empty text."""
        head = [self.loss, self.dataset, str(self.fold), str(self.seed), self.case, self.class_name, self.metric]
        return [*head, _text(self.value), self.status, self.engine, self.group, *self._optional()]

    def _optional(self) -> list[str]:
        return [_text(self.size), _text(self.greatest), self.stratum]


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Write the table as CSV, whole or not at all; an optional column appears where a row fills it."""
    table = [row.cells() for row in rows]
    extra = [i for i in range(len(COLUMNS), len(COLUMNS + OPTIONAL)) if any(cells[i] for cells in table)]
    kept = [*range(len(COLUMNS)), *extra]
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([(COLUMNS + OPTIONAL)[i] for i in kept])
        writer.writerows([cells[i] for i in kept] for cells in table)


def read_rows(path: str | Path, columns: Mapping[str, str] | None = None) -> list[Row]:
    """Read a long table from CSV; a ValueError names the file, the line and what was expected.

    `columns` says how a foreign table names ours (`{"loss": "algorithm", "value": "dice"}`). With it only loss, case
    and value must be there; what else is absent is one data set, one class, one run, metric DSC.
    """
    path = Path(path)
    names = _known(columns or {})
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a CSV table with columns {list(COLUMNS)}")
    try:
        rows = _read(path, names, needed=("loss", "case", "value") if columns else COLUMNS)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV table in UTF-8 ({error})") from None
    if not rows:
        raise ValueError(f"{path}: the table has a header but no rows")
    return rows


def _read(path: Path, names: dict[str, str], needed: tuple[str, ...]) -> list[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _check(path, reader.fieldnames, names, needed)
        return [_row(path, reader.line_num, record, names) for record in reader]


def _known(columns: Mapping[str, str]) -> dict[str, str]:
    unknown = [name for name in columns if name not in COLUMNS + OPTIONAL]
    if unknown:
        raise ValueError(f"columns: {unknown} are not ours; expected some of {list(COLUMNS + OPTIONAL)}")
    return {name: columns.get(name, name) for name in COLUMNS + OPTIONAL}


def _check(path: Path, found: Iterable[str] | None, names: dict[str, str], needed: tuple[str, ...]) -> None:
    if found is None:
        raise ValueError(f"{path}: the file is empty; expected a CSV table with columns {list(COLUMNS)}")
    chosen = [name for name, column in names.items() if name in needed or name != column]
    missing = [names[name] for name in chosen if names[name] not in found]
    if missing:
        raise ValueError(f"{path}: columns {missing} are missing; found {list(found)}, expected {list(COLUMNS)}")


def _row(path: Path, line: int, record: dict[str, str], names: dict[str, str]) -> Row:
    if None in record or None in record.values():
        raise ValueError(f"{path}, line {line}: the number of fields differs from the header's")
    fields = {name: record.get(column, DEFAULTS.get(name, "")).strip() for name, column in names.items()}
    empty = [names[name] for name in ("loss", "case") if not fields[name]]
    if empty:
        raise ValueError(f"{path}, line {line}: column {empty[0]} is empty; every row names its loss and case")
    return Row(
        loss=fields["loss"],
        dataset=fields["dataset"],
        fold=int(_number(path, line, "fold", fields["fold"])),
        seed=int(_number(path, line, "seed", fields["seed"])),
        case=fields["case"],
        class_name=fields["class"],
        metric=fields["metric"],
        value=_number(path, line, "value", fields["value"] or "nan"),
        status=fields["status"],
        engine=fields["engine"],
        group=fields["group"],
        size=_number(path, line, "size", fields["size"] or "nan"),
        greatest=_number(path, line, "greatest", fields["greatest"] or "nan"),
        stratum=fields["stratum"],
    )


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        return float(text) if column in NUMBERS else int(text)
    except ValueError:
        kind = "a number or empty" if column in NUMBERS else "an integer"
        raise ValueError(f"{path}, line {line}: column {column} holds {text!r}; expected {kind}") from None


def _text(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
