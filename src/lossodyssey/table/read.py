"""Read tables: plain ones with the standard library, all others with pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lossodyssey.table.columns import Wanted, known_columns
from lossodyssey.table.dialects import read_any
from lossodyssey.table.files import read_text
from lossodyssey.table.names import one_name
from lossodyssey.table.plain import NotPlain, read_plain
from lossodyssey.table.row import Row, Table
from lossodyssey.table.scales import in_range
from lossodyssey.table.strata import cut
from lossodyssey.table.whole import check_whole


def read_rows(
    path: str | Path | Sequence[str | Path],
    columns: Mapping[str, str] | None = None,
    *,
    by: str = "",
    percent: Sequence[str] = (),
    losses: Iterable[tuple[str, str | Path]] = (),
    more: Iterable[Row] = (),
) -> Table:
    """Read a table, or join several, whatever its separator, encoding, decimal mark and words for missing values.

    `columns` says how a foreign table names ours (`{"loss": "algorithm", "value": "dice"}`); letters' case and some
    usual words are understood without it. Only loss, case and value must be there; all else that is absent is one data
    set, one class, one run, and a metric called as the column of its values. A table with one column per metric is
    read as such. `by` names a column whose values, or thirds, become the strata; `percent` the metrics in percent;
    `losses` are further tables of one loss each, as (loss, path); `more` are rows from elsewhere to join. Decisions on
    the way are in `notes`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a table cannot be read; the text names file, line and column, what was seen and what was expected.
            Or it has lost rows, as the records beside it show.
    """
    paths = [("", one) for one in ([path] if isinstance(path, (str, Path)) else path)]
    tables = [*paths, *losses]
    chosen = known_columns(columns)

    rows: list[Row] = []
    notes: list[str] = []
    for loss, one in tables:
        found, said = _read(Path(one), Wanted(chosen, by, loss))
        rows += found
        notes += said
    rows += more

    # Names first, since percent and ranges go by the metric's name; strata last, over the cases of all tables.
    try:
        for settle in (one_name, lambda rows: in_range(rows, percent), lambda rows: cut(rows, by)):
            rows, said = settle(rows)
            notes += said
    except ValueError as error:
        raise ValueError(f"{', '.join(str(one) for _, one in tables)}: {error}" if tables else str(error)) from None
    return Table(rows, notes)


def _read(path: Path, wanted: Wanted) -> tuple[list[Row], list[str]]:
    text, notes = read_text(path)
    try:
        rows, said = read_plain(path, text, wanted)
    # Plain first: our own tables then need neither pandas nor a guess.
    except NotPlain as reason:
        rows, said = read_any(path, text, wanted, reason)
    if not rows:
        raise ValueError(f"{path}: the table has a header but no rows")
    return rows, notes + said + check_whole(path, rows)
