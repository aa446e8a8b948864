"""`lossodyssey data check`: what is wrong with a data set, before hours are spent on it."""

from __future__ import annotations

import json
from collections import Counter
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
    from lossodyssey.data.check import Check, Finding

MOST_SHOWN = 12  # findings of one severity and question in the table
COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}

Dataset = Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
]


def check(
    dataset: Dataset,
    data: Data = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write all findings to this file.", show_default=False)
    ] = None,
    write_groups: Annotated[
        bool, typer.Option("--write-groups", help="Give near duplicates one group each, in cases.json.")
    ] = False,
) -> None:
    """Read every case once, and tell what would spoil a training or its scores.

    Partners, grids, labels, intensities, duplicates, leakage between folds, exchanged label maps. The exit code is 1
    where there is an error.

    Examples:

    `lossodyssey data check Task04_Hippocampus`

    `lossodyssey data check ./mine --json findings.json --write-groups`
    """
    from lossodyssey.data.check import check_dataset
    from lossodyssey.data.places import find_folder

    folder = find_folder(dataset, data)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading cases", total=None)
        found = check_dataset(folder, lambda done, total: progress.update(bar, completed=done, total=total))
    _show(found)
    if as_json:
        write_text(as_json, _json(found))
        typer.echo(f"All findings: {as_json}")
    _groups(found, write_groups)
    if found.errors:
        raise typer.Exit(1)


def _show(found: Check) -> None:
    shown, left_out = _first(found.findings)
    if shown:
        table = Table("severity", "question", "cases", "seen", "what to do", box=None, header_style="bold")
        for own in shown:
            colour = COLOURS[own.severity]
            cells = (own.question, own.where, own.seen, own.fix)
            table.add_row(f"[{colour}]{own.severity}[/]", *map(escape, cells))
        Console().print(table)
    for (severity, question), count in left_out.items():
        typer.echo(f"{count} more: {severity}, {question}; --json FILE lists all")
    counts = Counter(own.severity for own in found.findings)
    told = ", ".join(_counted(counts[severity], severity) for severity in ("error", "warning", "note"))
    typer.echo(f"{found.dataset.name}, {len(found.dataset.cases)} cases: {told}")


def _first(findings: Sequence[Finding]) -> tuple[list[Finding], Counter[tuple[str, str]]]:
    """Return the first findings of each severity and question, and how many more there are of each."""
    kinds: Counter[tuple[str, str]] = Counter()
    shown = []
    for own in findings:
        kinds[own.severity, own.question] += 1
        if kinds[own.severity, own.question] <= MOST_SHOWN:
            shown.append(own)
    return shown, Counter({kind: count - MOST_SHOWN for kind, count in kinds.items() if count > MOST_SHOWN})


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _json(found: Check) -> str:
    from lossodyssey.data.check import as_json

    content = {
        "dataset": found.dataset.name,
        "cases": len(found.dataset.cases),
        "findings": as_json(found.findings),
        "alike": [list(names) for names in found.alike],
    }
    return json.dumps(content, indent=1) + "\n"


def _groups(found: Check, write: bool) -> None:
    """Say which groups near duplicates make, and write them where asked."""
    from lossodyssey.data.check import new_groups, write_groups

    if not found.alike:
        if write:
            typer.echo("No near duplicates, so no groups to write.")
        return
    images, groups = sum(map(len, found.alike)), _counted(len(found.alike), "group")
    typer.echo(f"Near duplicates: {groups} of {images} images.")
    if not write:
        changes = new_groups(found.dataset, found.alike)
        if changes:
            typer.echo(f"--write-groups gives {len(changes)} cases a group, so that no split parts them.")
        return
    file, changes = write_groups(found.dataset, found.alike)
    if changes:
        typer.echo(f"{file}: {len(changes)} cases have a new group; splits without a file of folds change with it.")
    else:
        typer.echo(f"{file}: near duplicates are in one group already; nothing was written.")
