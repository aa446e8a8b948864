"""`lossodyssey data prepare`: from an archive as it was distributed to a checked data set."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from lossodyssey.data.places import write_folder
from lossodyssey.data.prepare.recipe import Recipe
from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.sources import Progress as Told
from lossodyssey.data.prepare.writing import FORMS, Prepared
from lossodyssey.data.prepare.writing import prepare as make

RAW = "nnUNet_raw"  # nnU-Net's variable


def prepare(
    name: Annotated[str, typer.Argument(help="Name of the data set, such as KiTS19; a wrong one lists the known.")],
    sources: Annotated[
        list[Path],
        typer.Argument(help="Archives or folders as they were distributed; several where a set comes in parts."),
    ],
    to: Annotated[str, typer.Option(help="Layout to write: msd or nnunet.")] = "msd",
    split: Annotated[
        str, typer.Option(help="Name of a published division; a wrong one lists the known. Else the archive's own.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of data sets to write to; else the one of `lossodyssey data list`, or $nnUNet_raw for nnunet.",
        ),
    ] = None,
) -> None:
    """Make a checked data set, with splits and checksums, of an archive as it was distributed.

    Every image and label is read once; nothing is left behind when that fails. Files that need no change are linked
    where the disk allows it.

    Examples:

    `lossodyssey data prepare Task04_Hippocampus Task04_Hippocampus.tar`

    `lossodyssey data prepare LiTS Training_Batch1.zip Training_Batch2.zip -o ~/datasets`

    `lossodyssey data prepare KiTS19 kits19/data --to nnunet --split region-wise`

    `lossodyssey data prepare odyssey-pancreas Pancreas-CT TCIA_pancreas_labels.zip Task07_Pancreas.tar`
    """
    recipe = find_recipe(name)
    if to not in FORMS:
        raise ValueError(f"--to {to}: expected one of {', '.join(FORMS)}")
    with _terminable(), _bar() as told:
        done = make(recipe, sources, output or _folder(recipe, to), to, split, told)
    _report(done)


def _folder(recipe: Recipe, to: str) -> Path:
    """Return the folder of data sets of this user, or nnU-Net's."""
    if to == "msd":
        return write_folder(recipe.name).parent
    if not os.environ.get(RAW):
        raise ValueError(f"no folder to write to: give one with -o, or set the variable {RAW}")
    return Path(os.environ[RAW])


@contextmanager
def _terminable() -> Iterator[None]:
    """Make the termination signal, which clusters send first, clean up as Ctrl-C does."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _bar() -> Iterator[Told]:
    """Show a bar for each phase while it lasts."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def told(phase: str, done: int, total: int) -> None:
            if phase not in bars:
                bars[phase] = progress.add_task(escape(phase), total=total)
            progress.update(bars[phase], completed=done, total=total)

        yield told


def _report(done: Prepared) -> None:
    console = Console(stderr=True)
    held = f", {done.test} of them held out" if done.test else ""
    console.print(escape(f"{done.training + done.test} cases{held}"), highlight=False)
    for note in done.notes:
        console.print(escape(f"note: {note}"), highlight=False)
    typer.echo(str(done.folder))
