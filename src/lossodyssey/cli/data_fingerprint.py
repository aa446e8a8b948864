"""`lossodyssey data fingerprint`: what a data set is like, in numbers and in words."""

from __future__ import annotations

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
    "volume": "volume",
    "components": "pieces",
    "radius": "radius",
    "compactness": "compactness",
    "rim2": "rim",
    "surface_to_volume": "surface/volume",
    "contrast": "contrast",
}
"""Columns of the table, and their headings."""


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

    Every case is read once; the result is kept in the user's cache until the data change. Medians over cases, with
    the range below.

    Example: `lossodyssey data fingerprint Task04_Hippocampus --json fingerprint.json`
    """
    from lossodyssey.data.places import find_dataset

    found = _measured(find_dataset(dataset, data))
    _show(found)
    if as_json:
        write_text(as_json, found.text())
        typer.echo(f"All numbers: {as_json}")


def _measured(dataset: Dataset) -> Fingerprint:
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
    table = Table("class", "cases", "share", "1 in", *RANGES.values(), box=None, header_style="bold", caption=unit)
    for own in found.classes:
        table.add_row(escape(own.name), *_cells(own))
    Console().print(table)
    for one, two, share in found.touching:
        typer.echo(f"{one} and {two} touch in {share:.0%} of the cases that hold both.")


def _cells(own: ClassFacts) -> list[str]:
    rarity = "" if own.imbalance is None else f"{own.imbalance + 1:.4g}"
    return [f"{own.cases}/{own.annotated}", f"{own.share:.3g}", rarity, *(_range(getattr(own, n)) for n in RANGES)]


def _range(values: Range | None) -> str:
    return "" if values is None else f"{values.median:.3g}\n{values.low:.3g} to {values.high:.3g}"
