"""The tables that `lossodyssey rank` and `report` are given: long or wide CSV of any dialect, nnU-Net's summaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lossodyssey.ranking.nnunet import read_summaries
from lossodyssey.table import Row, Table, read_rows

Columns = Annotated[
    list[str] | None, typer.Option("--column", help="Our column = yours: loss=network, metric=DSC; repeat.")
]
By = Annotated[str, typer.Option("--by", help="Column that parts the cases into strata, each a task of its own.")]
Percent = Annotated[list[str] | None, typer.Option("--percent", help="A metric that the table holds in percent.")]


def read_tables(
    tables: Sequence[str], column: Sequence[str] | None = None, *, by: str = "", percent: Sequence[str] | None = None
) -> Table:
    """Read and join tables, `LOSS=table.csv` and `LOSS=summary.json`; print the notes of reading on standard error.

    Raises:
        ValueError: a summary does not name its loss, or is to be read by columns, which it does not have; a table
            cannot be read.
    """
    named = [_named(table) for table in tables]
    summaries = [(loss, path) for loss, path in named if path.endswith(".json")]
    unnamed = [path for loss, path in summaries if not loss]
    if unnamed:
        raise ValueError(f"{unnamed[0]}: say which loss it is, as in 'Dice()={unnamed[0]}'")
    if summaries and (by or (column and len(summaries) == len(named))):
        option = "--by" if by else "--column"
        raise ValueError(f"{option}: {summaries[0][1]} is a summary of nnU-Net, which has no columns; leave it out")

    rows = read_rows(
        [path for loss, path in named if not loss and not path.endswith(".json")],
        dict(_pair(text) for text in column or ()),
        by=by,
        percent=percent or (),
        losses=[(loss, path) for loss, path in named if loss and not path.endswith(".json")],
        more=read_summaries(summaries),
    )

    for note in rows.notes:
        typer.echo(f"note: {note}", err=True)
    return rows


def _named(table: str) -> tuple[str, str]:
    """Split LOSS=path at the equals sign before an existing file; both sides may hold others."""
    if Path(table).exists():
        return "", table
    # A loss such as Tversky(alpha=0.3) and a path may hold equals signs, so the first that leaves a file counts.
    places = [place for place, sign in enumerate(table) if sign == "="]
    place = next((place for place in places if Path(table[place + 1 :]).exists()), table.rfind("="))
    return table[: max(place, 0)], table[place + 1 :]


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs:
        raise ValueError(f"--column {text!r}: expected OURS=THEIRS, such as loss=algorithm")
    return ours, theirs


def directions(rows: Iterable[Row], higher: Sequence[str] | None, lower: Sequence[str] | None) -> dict[str, bool]:
    """Return whether more is better, for every metric named in --higher or --lower.

    Raises:
        ValueError: a metric is named in both, or is not in the table.
    """
    both = sorted({*(higher or ())} & {*(lower or ())})
    if both:
        raise ValueError(f"--higher and --lower both name {both}; expected one of them")
    named = dict.fromkeys(higher or (), True) | dict.fromkeys(lower or (), False)
    known = list(dict.fromkeys(row.metric for row in rows))
    absent = [metric for metric in named if metric not in known]
    if absent:
        raise ValueError(f"--higher or --lower: metrics {absent} are not in the table; it has {known}")
    return named
