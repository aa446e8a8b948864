"""`lossodyssey data fingerprint`: what a data set is like, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from lossodyssey.atomic import write_text

if TYPE_CHECKING:
    from lossodyssey.data import Dataset
    from lossodyssey.fingerprint import ClassFacts, Fingerprint, Range

RANGES = {
    "volume": "volume in a case",
    "components": "pieces",
    "radius": "radius that fits inside",
    "compactness": "compactness",
    "rim2": "share within two voxels of the border",
    "surface_to_volume": "surface / volume",
    "contrast": "contrast at the border",
}
"""Rows of the table, and what they are called there."""
SIDE_BY_SIDE = 3  # classes, on a terminal of 80 columns


def fingerprint(
    dataset: Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write the fingerprint to this file.", show_default=False)
    ] = None,
) -> None:
    """Measure imbalance, sizes, pieces, thinness and contrast of the objects, and the grids of the images.

    Every case is read once; the result is kept in the user's cache until the data change.

    Example: `lossodyssey data fingerprint Task04_Hippocampus --json fingerprint.json`
    """
    from lossodyssey.data.places import find_dataset

    found = measured(find_dataset(dataset, data))
    _show(found)
    if as_json:
        write_text(as_json, found.text())
        typer.echo(f"All numbers: {as_json}")


def measured(dataset: Dataset) -> Fingerprint:
    """Return the fingerprint of a data set, from the user's cache where it is there; show progress meanwhile."""
    from lossodyssey.data.places import cache_folder
    from lossodyssey.fingerprint import fingerprint, stored

    console, cache = Console(stderr=True), cache_folder()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("measuring cases", total=len(dataset.cases))

        def advance(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        if cache is None:
            return fingerprint(dataset, progress=advance)
        return stored(dataset, cache / "fingerprints", advance)


def _show(found: Fingerprint) -> None:
    typer.echo(f"{found.dataset}: {found.in_words}")
    unit = f"lengths in {found.unit}, volumes in {found.unit}^{found.dims}"
    for first in range(0, len(found.classes), SIDE_BY_SIDE):
        Console().print(_table(found.classes[first : first + SIDE_BY_SIDE]))
    typer.echo(f"Medians over cases with their range; {unit}.")
    for one, two, share in found.touching:
        typer.echo(f"{one} and {two} touch in {share:.0%} of the cases that hold both.")


def _table(classes: Sequence[ClassFacts]) -> Table:
    """Arrange some classes side by side, a fact in a row."""
    table = Table("", *(escape(own.name) for own in classes), box=None, header_style="bold")
    table.add_row("cases that hold it", *(f"{own.cases} of {own.annotated}" for own in classes))
    table.add_row("share of all voxels", *(f"{own.share:.3g}{_one_in(own)}" for own in classes))
    for name, title in RANGES.items():
        table.add_row(title, *(_range(getattr(own, name)) for own in classes))
    return table


def _one_in(own: ClassFacts) -> str:
    return "" if own.imbalance is None else f", 1 in {own.imbalance + 1:.4g}"


def _range(values: Range | None) -> str:
    return "" if values is None else f"{values.median:.3g} ({values.low:.3g} to {values.high:.3g})"
