"""`--import`: custom losses at the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from lossodyssey.core.door import load_losses

Imports = Annotated[
    list[str] | None,
    typer.Option("--import", help="A Python file (or module) with losses of your own; repeat.", show_default=False),
]


def open_door(sources: Sequence[str] | None) -> None:
    """Load the losses of all files and modules that were given."""
    for source in sources or ():
        load_losses(source)
