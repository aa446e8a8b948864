"""`env`: what is installed here, and which back end computes the losses."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lossodyssey.environment import as_text, facts


def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Show versions, compiler, processor, back ends, cache and extras of this machine; paste it into bug reports.

    Example: `lossodyssey env`
    """
    found = facts()
    typer.echo(json.dumps(found, indent=2) if as_json else as_text(found))
