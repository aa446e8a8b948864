"""`list` and `show`: the atlas in the terminal."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from lossodyssey.cli.imports import Imports, open_door
from lossodyssey.cli.width import wide
from lossodyssey.core.atlas import Card, atlas, card
from lossodyssey.core.door import load_offered
from lossodyssey.guide.pages import citation, page
from lossodyssey.guide.plain import without_tex


def list_losses(
    category: Annotated[str, typer.Option(help="Only this category: distribution, region, compound ...")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one list of objects instead of a table.")] = False,
    imports: Imports = None,
) -> None:
    """List every loss of the atlas, and those of installed packages and of files that are imported.

    Example: `lossodyssey list --category region`
    """
    open_door(imports)
    load_offered()
    cards = [entry for entry in atlas() if category in ("", entry.category)]
    if not cards:
        known = ", ".join(sorted({entry.category for entry in atlas()}))
        raise ValueError(f"--category is {category!r}, expected one of {known}")
    if as_json:
        typer.echo(json.dumps([_facts(entry) for entry in cards], indent=2, default=repr))
        return
    table = Table(box=None, header_style="bold")
    for heading, whole in (("loss", True), ("category", True), ("what it is", False), ("paper", True)):
        # Names are copied from the table, so they are never cut or broken.
        table.add_column(heading, no_wrap=whole)
    for entry in cards:
        summary = escape(without_tex(entry.summary))
        table.add_row(entry.name, entry.category, summary, citation(entry.paper, short=True))
    wide().print(table)


def show(
    name: Annotated[str, typer.Argument(help="A name from `lossodyssey list`, or another name of a loss, such as CE.")],
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page as plain Markdown.")] = False,
    imports: Imports = None,
) -> None:
    """Show one loss: formula, advice, hyper-parameters, paper.

    Example: `lossodyssey show Tversky`
    """
    open_door(imports)
    found = card(name)
    text = page(found)
    if found.asked:
        text = f"`{found.asked}` is another name of `{found()!r}`.\n\n{text}"
    if as_markdown:
        typer.echo(text)
    else:
        wide().print(Markdown(without_tex(text, markdown=True)))


def _facts(entry: Card) -> dict[str, object]:
    return {
        "name": entry.name,
        "category": entry.category,
        "summary": entry.summary,
        "paper": entry.paper,
        "range": [str(end) for end in entry.range],
        "needs": list(entry.needs),
        "fields": {field.name: field.default for field in entry.fields},
        "aliases": entry.aliases,
    }
