"""`lossodyssey evaluate` of a whole study: a folder or archive with the predictions of many losses."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lossodyssey.metrics.released import Scored, read_study, score_released, write_overview
from lossodyssey.table import write_rows


def check_study_options(options: Mapping[str, Any]) -> None:
    """Refuse options of a single folder of predictions, which have no effect on a study.

    Raises:
        ValueError: one of them is given.
    """
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(
            f"--{given[0]} is for a single folder of predictions; here the folders of the study say it, and the "
            "dataset.json beside the truths; leave it out, or evaluate one folder"
        )


def evaluate_study(
    predictions: Path,
    truths: Path,
    output: Path,
    metrics: Sequence[str],
    *,
    layout: str,
    seed: int,
    reorient: bool,
    workers: int | None,
) -> None:
    """Score all predictions of a study into one table, and print a mean for each loss and data set."""
    scored = score_study(
        predictions, truths, output.parent, metrics, layout=layout, seed=seed, reorient=reorient, workers=workers
    )
    write_rows(output, scored.rows)
    write_overview(output, scored)
    _report(output, scored)
    if scored.lost:
        raise typer.Exit(1)


def score_study(
    predictions: Path,
    truths: Path,
    beside: Path,
    metrics: Sequence[str],
    *,
    layout: str = "",
    seed: int = 0,
    reorient: bool = False,
    workers: int | None = None,
) -> Scored:
    """Score all predictions of a study, with a bar; archives are unpacked in the folder `beside` for as long."""
    beside.mkdir(parents=True, exist_ok=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with (
        tempfile.TemporaryDirectory(dir=beside, prefix=".unpacked-") as scratch,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        bar = progress.add_task("", total=None)

        def told(phase: str, done: int, total: int) -> None:
            progress.update(bar, description=escape(phase), completed=done, total=total)

        return score_released(
            read_study(predictions, Path(scratch), told),
            truths,
            metrics,
            layout=layout,
            seed=seed,
            reorient=reorient,
            workers=workers,
            done=lambda done, total: told("scoring", done, total),
        )


def _report(output: Path, scored: Scored) -> None:
    _print_means(scored)
    for found, result in scored.lost:
        typer.echo(f"{result.status}: {found.loss} on {found.dataset}: {result.reason}", err=True)
    for note in scored.notes:
        typer.echo(f"note: {note}", err=True)
    total = sum(len(results) for _, results in scored.results)
    losses = len({found.loss for found, _ in scored.results})
    sets = len({found.dataset for found, _ in scored.results})
    typer.echo(f"{total - len(scored.lost)} of {total} predictions scored, {losses} losses, {sets} data sets: {output}")


def _print_means(scored: Scored) -> None:
    """Print the mean of each metric by loss and data set, over cases and classes."""
    cells: dict[tuple[str, str, str], list[float]] = {}
    for row in scored.rows:
        cells.setdefault((row.loss, row.dataset, row.metric), []).append(row.value)
    columns = sorted({(dataset, metric) for _, dataset, metric in cells})
    table = Table(
        "loss", box=None, header_style="bold", caption="means over cases and classes, undefined ones left out"
    )
    for dataset, metric in columns:
        table.add_column(escape(f"{dataset} {metric}"), justify="right")
    for loss in dict.fromkeys(row.loss for row in scored.rows):
        table.add_row(escape(loss), *(_mean(cells.get((loss, *column), [])) for column in columns))
    Console().print(table)


def _mean(values: Sequence[float]) -> str:
    defined = [value for value in values if not math.isnan(value)]
    return f"{math.fsum(defined) / len(defined):.4f}" if defined else ""
