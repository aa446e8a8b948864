"""`lossodyssey data`: which data sets are known, which are here, and how to get another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from lossodyssey.cli import data_check, data_fingerprint, data_split
from lossodyssey.cli.adopt import adopt
from lossodyssey.cli.catalogue import list_datasets, show
from lossodyssey.cli.data_cache import show_cache
from lossodyssey.cli.prepare import prepare
from lossodyssey.data.catalogue import canonical
from lossodyssey.data.download import fetch as download

app = typer.Typer(no_args_is_help=True)
app.command("list")(list_datasets)
app.command()(show)
app.command()(prepare)
app.command()(adopt)
app.command("check")(data_check.check)
app.command("fingerprint")(data_fingerprint.fingerprint)
app.command("split")(data_split.split)
app.command("cache")(show_cache)

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
]


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
        folder = download(
            canonical(name), data, lambda done, total: progress.update(bar, completed=done, total=total or None)
        )
    typer.echo(str(folder))
