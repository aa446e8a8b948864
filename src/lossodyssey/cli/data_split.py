"""`lossodyssey data split`: folds or a held-out part, written where training and nnU-Net read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

if TYPE_CHECKING:
    from lossodyssey.data import Dataset
    from lossodyssey.data.stratified import Presence, Split


def split(
    dataset: Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Number of folds; 5 where nothing is held out.", min=2, show_default=False)
    ] = None,
    held_out: Annotated[str, typer.Option(help="Cases to hold out: a number, or a fraction such as 0.2.")] = "0",
    stratify: Annotated[
        bool, typer.Option("--stratify/--no-stratify", help="Spread the cases of each class evenly.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of folds that is there.")] = False,
) -> None:
    """Divide the cases by patients, and write `splits_final.json` into the folder of the data set.

    A plan with `folds` of the same number reads it, and so does nnU-Net. With --held-out alone the file holds one
    division; with --folds too the held-out cases are in no fold, and listed as `test` in the file.

    Examples:

    `lossodyssey data split Task04_Hippocampus --folds 5`

    `lossodyssey data split ./mine --held-out 0.2 --folds 5 --force`
    """
    from lossodyssey.cli.train import held_out_option
    from lossodyssey.data.divisions import GIVEN
    from lossodyssey.data.places import find_dataset
    from lossodyssey.data.stratified import divide, write_split

    held = 0 if held_out.strip() == "0" else held_out_option(held_out)
    found = find_dataset(dataset, data)
    if (found.root / GIVEN).exists() and not force:
        raise FileExistsError(f"{found.root / GIVEN}: exists; --force replaces it, and studies with its folds change")
    presence = _presence(found) if stratify else None
    made = divide(found, folds or (0 if held else 5), held, presence)
    file = write_split(found, made, force)
    _show(made, presence)
    _explain(found, made, file)
    _compare(found, made, held)


def _compare(dataset: Dataset, made: Split, held: int | float) -> None:
    """Say where groups made the held-out part larger or smaller than it was asked for."""
    from lossodyssey.data.splits import held_out_count

    kept = len(made.test) if len(made.parts) > 1 else len(made.parts[0])
    if held and kept != (wanted := held_out_count(dataset, held)):
        typer.echo(f"{kept} cases are held out where {wanted} were asked for: groups and classes are kept together.")


def _presence(dataset: Dataset) -> Presence:
    from lossodyssey.data.stratified import read_presence

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading labels", total=len(dataset.cases))
        return read_presence(dataset, lambda done, total: progress.update(bar, completed=done, total=total))


def _show(made: Split, presence: Presence | None) -> None:
    """Show how many cases of each class every part has."""
    parts = [(f"fold {number}", part) for number, part in enumerate(made.parts)]
    if len(parts) == 1:
        parts = [("training", made.training[0]), ("held out", made.parts[0])]
    parts += [("test", made.test)] if made.test else []
    table = Table("cases with", *(name for name, _ in parts), box=None, header_style="bold")
    table.add_row("all", *(str(len(part)) for _, part in parts))
    names = sorted({name for classes in presence.values() for name in classes}) if presence else []
    for name in names:
        counts = [sum(name in presence[case] for case in part) for _, part in parts] if presence else []
        table.add_row(escape(name), *map(str, counts))
        absent = [part for (part, _), count in zip(parts, counts, strict=True) if not count]
        if absent:
            typer.echo(f"Too few cases or patients with {name} for every part: none in {', '.join(absent)}.", err=True)
    Console().print(table)


def _explain(dataset: Dataset, made: Split, file: Path) -> None:
    groups = {case.group for case in dataset.cases if case.group}
    if groups:
        typer.echo(f"{len(groups)} groups (patients, near duplicates) are kept together.")
    else:
        typer.echo("No case has a group, so each was taken for a patient; `lossodyssey data check` finds duplicates.")
    how = f"folds: {len(made.parts)}" if len(made.parts) > 1 else f"folds: {file}"
    typer.echo(f"{file}: {len(made.parts)} division{'s' * (len(made.parts) > 1)}; in a plan: {how}")
    if made.test:
        typer.echo(f"{len(made.test)} test cases are in no fold: predict and evaluate them once, at the end.")
