"""`lossodyssey pack`: the records of a comparison in one small file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lossodyssey.bench.packing import outside_plan
from lossodyssey.bench.packing import pack as write


def pack(
    folder: Annotated[Path, typer.Argument(help="Output folder of a comparison.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write.")] = Path("study.tar.xz"),
) -> None:
    """Keep the records of a comparison: plan, searches, and each run's choices, scores and thinned curve.

    Networks and predictions stay out, so that it can be kept beside a paper and passed on. `lossodyssey report` and
    `lossodyssey bench --from` take the archive as they take the folder: to rank again, or to go on.

    Examples: `lossodyssey pack study -o study.tar.xz`, `lossodyssey report study.tar.xz -o report.html`
    """
    runs = write(folder, output)
    if surplus := outside_plan(folder):
        typer.echo(f"{len(surplus)} runs that the plan does not have were left out: {', '.join(sorted(surplus)[:5])}")
    typer.echo(f"{output}: {runs} runs, {output.stat().st_size / 1e6:.2g} MB")
