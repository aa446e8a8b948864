"""`lossodyssey data list` and `lossodyssey data show`: the catalogue of data sets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lossodyssey.cli.width import wide
from lossodyssey.data.catalogue import ENTRIES, Entry, look_up
from lossodyssey.data.layouts import read_dataset
from lossodyssey.data.places import local_folder

WIDTHS = {"name": 24, "here": 6, "classes": 18, "licence": 14}
UNCHECKED = "(not checked)"

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
]
Json = Annotated[bool, typer.Option("--json", help="Print all facts as JSON instead.")]


@dataclass(frozen=True)
class Found:
    """Where a data set is on this machine: its folder and number of cases, or the reason why it cannot be read."""

    folder: Path | None = None
    cases: int | None = None
    problem: str = ""


def list_datasets(data: Data = None, as_json: Json = False) -> None:
    """List the known data sets and where they are.

    Example: `lossodyssey data list --data ~/datasets`
    """
    known = [(entry, find(entry, data)) for entry in ENTRIES]
    if as_json:
        typer.echo(json.dumps([facts(entry, found) for entry, found in known], indent=2))
        return
    wide().print(_table(known))
    wide().print("All facts of one: lossodyssey data show NAME. From the public mirror: lossodyssey data fetch NAME.")


def show(
    name: Annotated[str, typer.Argument(help="Name of a data set, in any case.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show what is known about a data set: contents, terms, layout and traps.

    Example: `lossodyssey data show kits19`
    """
    entry = look_up(name)
    found = find(entry, data)
    if as_json:
        typer.echo(json.dumps(facts(entry, found), indent=2))
        return
    table = Table(box=None, show_header=False, title=f"{entry.name}: {entry.description}", title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, text in _lines(entry, found):
        table.add_row(heading, escape(text))
    wide().print(table)


def find(entry: Entry, data: Path | None) -> Found:
    """Look for a data set on this machine and count its cases."""
    folder = local_folder(entry.name, data)
    if folder is None:
        return Found()
    try:
        return Found(folder, len(read_dataset(folder).cases))
    except (ValueError, OSError) as error:
        return Found(folder, None, str(error))


def facts(entry: Entry, found: Found) -> dict[str, Any]:
    """Return all facts of a data set and where it is, ready for JSON."""
    here = {"folder": str(found.folder) if found.folder else None, "cases": found.cases, "problem": found.problem}
    return {**asdict(entry), "here": here, "way": entry.way}


def _table(known: list[tuple[Entry, Found]]) -> Table:
    table = Table(box=None, header_style="bold")
    for heading, width in WIDTHS.items():
        # Names are copied from the table, so they are never cut.
        table.add_column(heading, max_width=width, no_wrap=True, overflow="ellipsis" if heading != "name" else "fold")
    table.add_column("where", overflow="fold")
    for dims in (3, 2):
        table.add_row(f"{dims}D", style="bold")
        for entry, found in known:
            if entry.dims == dims:
                table.add_row(*map(escape, _row(entry, found)))
    return table


def _row(entry: Entry, found: Found) -> tuple[str, ...]:
    cases = "broken" if found.problem else "" if found.cases is None else str(found.cases)
    where = found.problem or (str(found.folder) if found.folder else _way(entry))
    return entry.name, cases, ", ".join(entry.classes), entry.licence, where


def _way(entry: Entry) -> str:
    """Say in a few words how to get the data set."""
    if entry.archive:
        return "public mirror"
    if entry.kind == "predictions":
        return "by hand, then evaluate"
    return "by hand, then data prepare" if entry.recipes else "by hand" if entry.source else "made on first use"


def _lines(entry: Entry, found: Found) -> list[tuple[str, str]]:
    """Return headings and texts in the order in which they are shown; facts that are not known are named."""
    axes = "the reader's default" if entry.flip_axes is None else ", ".join(map(str, entry.flip_axes)) or "none"
    lines = [
        ("modality", entry.modality, "modality"),
        ("dims", f"{entry.dims}D", ""),
        ("classes", ", ".join(f"{number} {name}" for number, name in enumerate(entry.classes, 1)), "classes"),
        ("cases", entry.cases, "cases"),
        ("imbalance", entry.imbalance, "imbalance"),
        ("publication", entry.reference, "reference"),
        ("licence", entry.licence, "licence"),
        ("terms", entry.terms, "terms"),
        ("source", entry.source, "source"),
        ("way", entry.way, ""),
        ("recipes", ", ".join(entry.recipes) or "none: data prepare does not know it", ""),
        ("layout", entry.layout, "layout"),
        ("flip axes", f"{axes} ({entry.flips})", ""),
        ("tolerance", f"{entry.tolerance} mm ({entry.tolerance_reason})", "tolerance"),
        ("grouping", entry.grouping, "grouping"),
        ("traps", "\n".join(f"- {trap}" for trap in entry.traps), "traps"),
        ("other names", ", ".join(entry.aliases) or "none", ""),
        ("here", found.problem or (f"{found.folder}, {found.cases} cases" if found.folder else "no"), ""),
    ]
    return [
        (heading, f"{text or 'not checked'}{' ' + UNCHECKED if text and field in entry.unchecked else ''}")
        for heading, text, field in lines
    ]
