"""`lossodyssey paper`: the published means ranked again, and the published segmentations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from lossodyssey.ranking.statements import Statement

if TYPE_CHECKING:
    from lossodyssey.ranking.retest import Retest
    from lossodyssey.table import Row

MOST_GAPS = 5


def paper(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Also write the means as a page.")] = None,
    segmentations: Annotated[
        Path | None, typer.Option(help="The released segmentations, a folder or an archive, to rank from their cases.")
    ] = None,
    truths: Annotated[
        Path | None, typer.Option(help="A folder with a folder of truths for each task, such as odyssey-liver.")
    ] = None,
    layout: Annotated[str, typer.Option(help="Where a path names what, such as {dataset}/{loss}/{case}.")] = "",
    cases: Annotated[Path, typer.Option(help="The table of the segmentations' cases to write.")] = Path(
        "published-cases.csv"
    ),
    workers: Annotated[int | None, typer.Option(help="Processes that score; one per core by default.")] = None,
) -> None:
    """Rank the published means of 27 losses again and set them beside the paper's statements.

    With the released segmentations (doi 10.5281/zenodo.4624843) and the truths, which `lossodyssey data prepare
    odyssey-liver ...` makes of the public archives, every case is scored and the paper's own ranking is made again.
    The archive's layout is not documented: a folder per task and loss is assumed, in any order; --layout says another.

    Examples: `lossodyssey paper -o paper.html`, `lossodyssey paper --segmentations released.zip --truths truths`
    """
    if (segmentations is None) != (truths is None):
        raise ValueError("--segmentations and --truths: one is scored against the other; give both or none")
    if segmentations and truths:
        if output:
            raise ValueError("--output: is the page of the published means; leave it out beside --segmentations")
        _rank_cases(segmentations, truths, layout, cases, workers)
        return
    for option, given in (("--layout", layout), ("--workers", workers)):
        if given:
            raise ValueError(f"{option}: has no effect without --segmentations; leave it out")
    _rank_means(output)


def _rank_means(output: Path | None) -> None:
    from lossodyssey.ranking.paper import mean_ranks
    from lossodyssey.ranking.published import ranked
    from lossodyssey.ranking.statements import findings, statements

    console = Console()
    _print_statements(console, statements())
    for finding in findings():
        console.print(Text(f"\n{finding}"), end="")
    _print_scores(console, "Mean rank of the 27 losses over tasks and metrics", mean_ranks(ranked()))
    if output:
        from lossodyssey.report.published import write_page

        write_page(output)
        typer.echo(str(output))


def _rank_cases(segmentations: Path, truths: Path, layout: str, cases: Path, workers: int | None) -> None:
    from lossodyssey.cli.released import score_study
    from lossodyssey.metrics.released import write_overview
    from lossodyssey.ranking.retest import known_name, known_task, means_beside, retest
    from lossodyssey.table import write_rows

    scored = score_study(segmentations, truths, cases.parent, ("DSC", "NSD"), layout=layout, workers=workers)
    rows = [replace(row, loss=known_name(row.loss), dataset=known_task(row.dataset)) for row in scored.rows]
    write_rows(cases, rows)
    write_overview(cases, scored)
    console = Console()
    for note in scored.notes:
        typer.echo(f"note: {note}", err=True)
    for two_sided in (False, True):
        _print_retest(console, retest(rows, two_sided))
    _print_gaps(console, means_beside(rows), rows)
    typer.echo(str(cases))


def _print_statements(console: Console, found: Iterable[Statement]) -> None:
    for checked in found:
        agrees = "agrees   " if checked.agrees else "differs  "
        console.print(Text(agrees, "bold green" if checked.agrees else "bold red"), end="")
        console.print(Text(checked.says))
        console.print(Text(f"         {checked.found}", style="dim"))


def _print_scores(console: Console, title: str, scores: dict[str, float]) -> None:
    # A title of the table would be broken at the table's own width.
    console.print(Text(f"\n\n{title}", "italic"))
    table = Grid(box=None, header_style="bold", pad_edge=False)
    table.add_column("loss")
    table.add_column("score", justify="right")
    for loss, score in scores.items():
        table.add_row(Text(loss), f"{score:.2f}")
    console.print(table)


def _print_retest(console: Console, found: Retest) -> None:
    kind = "two-sided" if found.two_sided else "one-sided"
    _print_scores(
        console, f"Losses that are significantly worse, {kind} tests, mean over tasks and metrics", found.scores
    )
    console.print(f"Kendall's tau to the order of the published means: {found.tau_to_means:.2f}")
    _print_statements(console, found.statements)


def _print_gaps(console: Console, gaps: Sequence[tuple[str, str, str, float, float]], rows: Sequence[Row]) -> None:
    """Say how far the means of the cases lie from the published ones: far ones point to another layout or truth."""
    if not gaps:
        losses = ", ".join(sorted({row.loss for row in rows}))
        console.print(f"No loss and task bears a name of the published tables (losses: {losses}).")
        return
    console.print(f"Means of the cases beside the published ones ({len(gaps)} in all), the largest differences:")
    for loss, task, metric, own, published in gaps[:MOST_GAPS]:
        console.print(Text(f"  {loss} {task} {metric}: {own:.4f}, published {published:.4f}"))
