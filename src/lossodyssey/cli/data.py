"""`lossodyssey data`: which data sets are known, which are here, and how to get another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from lossodyssey.cli.data_cache import show_cache
from lossodyssey.cli.prepare import prepare
from lossodyssey.data.catalogue import ENTRIES, Entry
from lossodyssey.data.download import fetch as download
from lossodyssey.data.layouts import read_dataset
from lossodyssey.data.places import local_folder

app = typer.Typer(help="Known data sets: list them, fetch the public ones, prepare others.", no_args_is_help=True)
app.command()(prepare)
app.command("cache")(show_cache)

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
]


@app.command("list")
def list_datasets(data: Data = None) -> None:
    """List the known data sets and where they are.

    Example: `lossodyssey data list --data ~/datasets`
    """
    table = Table(box=None, header_style="bold", caption="From the public mirror: lossodyssey data fetch NAME")
    for heading in ("name", "dims", "cases", "classes", "licence", "where"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for entry in ENTRIES:
        table.add_row(*map(escape, _row(entry, data)))
    Console().print(table)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a data set, as `lossodyssey data list` shows it.")],
    data: Data = None,
) -> None:
    """Download a public data set, check and unpack it.

    Example: `lossodyssey data fetch Task04_Hippocampus`
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task(escape(name), total=None)
        folder = download(name, data, lambda done, total: progress.update(bar, completed=done, total=total or None))
    typer.echo(str(folder))


def _row(entry: Entry, data: Path | None) -> tuple[str, ...]:
    cases, where = _found(entry, data)
    return entry.name, f"{entry.dims}D", cases, ", ".join(entry.classes), entry.licence, where


def _found(entry: Entry, data: Path | None) -> tuple[str, str]:
    """Return the number of cases and the folder of a set that is here, otherwise how to get it."""
    folder = local_folder(entry.name, data)
    if folder is None:
        return "", "public mirror" if entry.archive else entry.source or "made on first use"
    try:
        return str(len(read_dataset(folder).cases)), str(folder)
    except (ValueError, OSError) as error:
        return "broken", str(error)
