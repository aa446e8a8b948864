"""The tables that `lossodyssey rank` and `report` are given: long or wide CSV of any dialect, nnU-Net's summaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from lossodyssey.ranking.nnunet import read_summaries
from lossodyssey.table import Table, read_rows

Columns = Annotated[
    list[str] | None, typer.Option("--column", help="Our column = yours: loss=network, metric=DSC; repeat.")
]
By = Annotated[str, typer.Option("--by", help="Column that parts the cases into strata, each a task of its own.")]
Percent = Annotated[list[str] | None, typer.Option("--percent", help="A metric that the table holds in percent.")]


def read_tables(
    tables: Sequence[str], column: Sequence[str] | None = None, *, by: str = "", percent: Sequence[str] | None = None
) -> Table:
    """Read and join tables and `LOSS=summary.json` pairs; print on standard error what had to be decided."""
    summaries = [table.rpartition("=")[::2] for table in tables if table.endswith(".json")]
    others = [table for table in tables if not table.endswith(".json")]
    unnamed = [path for loss, path in summaries if not loss]
    if unnamed:
        raise ValueError(f"{unnamed[0]}: say which loss it is, as in 'Dice()={unnamed[0]}'")
    if summaries and (by or column):
        option = "--by" if by else "--column"
        raise ValueError(f"{option}: {summaries[0][1]} is a summary of nnU-Net, which has no columns; leave it out")
    names = dict(_pair(text) for text in column or ())
    rows = read_rows(others, names, by=by, percent=percent or (), more=read_summaries(summaries))
    for note in rows.notes:
        typer.echo(f"note: {note}", err=True)
    return rows


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs:
        raise ValueError(f"--column {text!r}: expected OURS=THEIRS, such as loss=algorithm")
    return ours, theirs
