"""`lossodyssey data cache`: the prepared cases that are kept on this machine."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from lossodyssey.data.places import cache_folder
from lossodyssey.data.store import entries, size_of


def show_cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of them.")] = False,
) -> None:
    """Show the folder of prepared cases and its size.

    Resampled cases, and those of data sets that are larger than memory, are kept there; a run makes again what it does
    not find. Do not clear the folder while runs are preparing their cases.

    Example: `lossodyssey data cache --clear`
    """
    base = cache_folder()
    if base is None:
        raise ValueError("this user has no cache folder; prepared cases are beside the runs that need them")
    folder = base / "prepared"
    size, number = size_of(folder), len(entries(folder))
    typer.echo(f"{folder}: {number} entries, {size / 1e6:,.1f} MB")
    if clear and folder.exists():
        shutil.rmtree(folder)
        typer.echo("removed")
