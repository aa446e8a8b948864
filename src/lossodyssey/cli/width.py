"""How wide the output of a command is."""

from __future__ import annotations

from rich.console import Console

WIDTH = 120


def wide() -> Console:
    """Return a console of the terminal's width; of `WIDTH` columns off a terminal, where rich would take 80."""
    console = Console()
    return console if console.is_terminal else Console(width=max(WIDTH, console.width))
