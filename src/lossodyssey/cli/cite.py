"""`lossodyssey cite`: the papers behind losses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lossodyssey.atomic import write_text
from lossodyssey.cli.imports import Imports, open_door


def cite(
    losses: Annotated[list[str], typer.Argument(help='Names or expressions: Tversky, "Dice() + Boundary()".')],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the entries to this file instead of printing them.")
    ] = None,
    imports: Imports = None,
) -> None:
    """Print the BibTeX entries of the papers behind losses and their parts.

    Example: `lossodyssey cite DiceTopK "Dice() + Boundary()" -o losses.bib`
    """
    from lossodyssey.guide.cite import bibtex

    open_door(imports)
    text = bibtex(losses)
    if not text.strip():
        raise ValueError(f"{', '.join(losses)}: no paper is known of it; a loss of your own names one by paper=")
    if output is None:
        typer.echo(text, nl=False)
        return
    write_text(output, text)
    typer.echo(str(output))
