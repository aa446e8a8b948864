"""`lossodyssey check-loss`: whether a loss has the properties that those of the atlas have."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossodyssey.cli.imports import Imports, open_door
from lossodyssey.core.checks import check_loss as find


def check_loss(
    loss: Annotated[str, typer.Argument(help='A loss such as "HalfDice(share=0.2)".')],
    imports: Imports = None,
) -> None:
    """Test a loss of your own: values, gradients, ignored voxels, batches, half precision, range and text.

    The exit code is 1 where a property does not hold.

    Example: `lossodyssey check-loss "HalfDice()" --import examples/own_loss.py`
    """
    open_door(imports)
    findings = find(loss)
    table = Table("property", "holds", "computed", box=None, header_style="bold")
    for finding in findings:
        table.add_row(finding.name, "yes" if finding.holds else "[red]no[/red]", escape(finding.said))
    Console().print(table)
    if not all(finding.holds for finding in findings):
        raise typer.Exit(1)
