"""`lossodyssey report`: from a table of scores, or a comparison, to a page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lossodyssey.cli.rank import Alpha, ByClass, Higher, Lower, Method, Metrics, Policy, Seed, TwoSided, What
from lossodyssey.cli.tables import By, Columns, Percent, directions, read_tables
from lossodyssey.ranking.nouns import called
from lossodyssey.ranking.rank import rank as rank_rows
from lossodyssey.table import Row, Table, write_rows

if TYPE_CHECKING:
    from lossodyssey.report import RunSummary
    from lossodyssey.report.evidence import Evidence

Reported = Annotated[
    list[str],
    typer.Argument(
        help="Tables (cases.csv), LOSS=table.csv of one loss, or LOSS=summary.json of nnU-Net, once per fold; or the "
        "output folder of a comparison."
    ),
]
Shown = Annotated[int, typer.Option("--bootstrap", help="Resamplings of cases and trainings, at least 1.")]


def report(
    tables: Reported,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page to write [default: report.html].")
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Output folder of a benchmark, for curves and costs.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Folder for every figure as SVG, PNG and CSV.")] = None,
    method: Method = "significance",
    metric: Metrics = None,
    policy: Policy = "worst",
    alpha: Alpha = 0.05,
    two_sided: TwoSided = False,
    draws: Shown = 1000,
    seed: Seed = 0,
    by_class: ByClass = False,
    higher: Higher = None,
    lower: Lower = None,
    column: Columns = None,
    by: By = "",
    percent: Percent = None,
    what: What = "loss",
    title: Annotated[
        str, typer.Option(help="Of the page [default: Which loss should I use?].", show_default=False)
    ] = "",
) -> None:
    """Write the page that answers which loss to use.

    `--what model` compares models, methods or teams by the same tests, and calls them so.

    The output folder of a comparison that is under way gives the page of what is finished so far, which says all that
    is missing, and its table; both lie in the folder as `report-so-far.html` and `cases-so-far.csv`. An archive of
    `lossodyssey pack` gives the page that its folder would.

    Examples: `lossodyssey report cases.csv -o report.html --figures figures`, `lossodyssey report results`
    """
    with called(what):
        from lossodyssey import report as pages
        from lossodyssey.guide.cite import references

        rows, summaries, evidence, page = _read(tables, runs, column, by, percent)
        output = output or page
        ranking = rank_rows(
            rows,
            metrics=metric,
            method=method,
            policy=policy,
            alpha=alpha,
            two_sided=two_sided,
            separate_classes=by_class,
            higher_is_better=directions(rows, higher, lower),
        )
        # The page must tell of the reading of the tables, too: it travels without the terminal's notes.
        ranking = replace(ranking, notes=(*rows.notes, *ranking.notes))
        command = ["lossodyssey", *sys.argv[1:]]
        answer = pages.write(
            rows,
            output,
            ranking=ranking,
            runs=summaries,
            evidence=evidence,
            figures=figures,
            draws=draws,
            seed=seed,
            command=shlex.join(command),
            title=title,
            what=what,
            references=references(ranking.losses, summaries) if what == "loss" else (),
        )
        typer.echo(answer.headline)
        typer.echo(str(output))


class _Read(NamedTuple):
    """The rows, runs and evidence that a page is made of, and the file it goes to where no other is named."""

    rows: Table
    runs: Sequence[RunSummary]
    evidence: Evidence | None
    page: Path = Path("report.html")


def _read(
    tables: Sequence[str], runs: Path | None, column: Sequence[str] | None, by: str, percent: Sequence[str] | None
) -> _Read:
    """Read tables, or the folder or archive of a comparison."""
    from lossodyssey.report.evidence import read_evidence

    source = Path(tables[0])
    if len(tables) == 1 and (source.is_dir() or source.name.endswith(".tar.xz")):
        given = {"--runs": runs, "--column": column, "--by": by, "--percent": percent}
        read = _so_far(source, [option for option, value in given.items() if value])
        return read._replace(page=source / "report-so-far.html") if source.is_dir() else read
    rows = read_tables(tables, column, by=by, percent=percent)
    return _Read(rows, _runs_of(rows, runs), read_evidence(runs)) if runs else _Read(rows, (), None)


def _so_far(source: Path, without_effect: Sequence[str]) -> _Read:
    """Read what a comparison under way, or an archive of one, gives so far; write the table of a folder."""
    from lossodyssey.bench.packing import unpacked
    from lossodyssey.bench.partial import read_partial, shorter_lengths
    from lossodyssey.report.data import read_sheets
    from lossodyssey.report.evidence import TUNING, Evidence, read_searches
    from lossodyssey.report.runs import read_run

    if without_effect:
        raise ValueError(f"{without_effect[0]}: has no effect on the folder of a comparison; leave it out")
    with unpacked(source) as folder:
        found = read_partial(folder)
        for note in found.rows.notes:
            typer.echo(f"note: {note}", err=True)
        if source.is_dir():
            write_rows(folder / "cases-so-far.csv", found.rows)
        budgets = {length: read_partial(folder, length).rows for length in shorter_lengths(folder)}
        evidence = Evidence(read_searches(folder / TUNING), budgets, read_sheets(folder))
        return _Read(found.rows, [read_run(run) for run in found.folders], evidence)


def _runs_of(rows: list[Row], folder: Path) -> list[RunSummary]:
    """Read the runs for the page of `rows`; curves of another engine would show other trainings."""
    from lossodyssey.report import read_runs

    runs = read_runs(folder)
    engines = {row.engine for row in rows if row.engine}
    others = {run.engine for run in runs if run.engine} - engines
    if engines and others:
        raise ValueError(
            f"{folder}: holds runs of engine {min(others)}, but the tables are of engine {min(engines)}; "
            "give the folder that these tables came from"
        )
    return runs
