"""`lossodyssey rank` and `report`: from a table of scores to an answer."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossodyssey.atomic import write_text, writing
from lossodyssey.cli.standing import show, trainings_beside
from lossodyssey.cli.tables import By, Columns, Percent, directions, read_tables
from lossodyssey.ranking.bootstrap import bootstrap
from lossodyssey.ranking.cells import POLICIES
from lossodyssey.ranking.effects import effects
from lossodyssey.ranking.means import Means, mean_intervals
from lossodyssey.ranking.methods import METHODS
from lossodyssey.ranking.rank import Ranking
from lossodyssey.ranking.rank import rank as rank_rows
from lossodyssey.ranking.records import Record, pair_records, records
from lossodyssey.ranking.verdict import verdict
from lossodyssey.table import Row, Table, write_rows

if TYPE_CHECKING:
    from lossodyssey.report import RunSummary
    from lossodyssey.report.evidence import Evidence

Tables = Annotated[
    list[str],
    typer.Argument(
        help="Tables (cases.csv), LOSS=table.csv of one loss, or LOSS=summary.json of nnU-Net, once per fold."
    ),
]
Reported = Annotated[
    list[str],
    typer.Argument(
        help="Tables (cases.csv), LOSS=table.csv of one loss, or LOSS=summary.json of nnU-Net, once per fold; or the "
        "output folder of a comparison."
    ),
]
Method = Annotated[str, typer.Option(help=f"How to score: {', '.join(METHODS)}.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Metric to rank by; repeat for several.")]
Policy = Annotated[str, typer.Option(help=f"Missing values: {', '.join(POLICIES)}.")]
Alpha = Annotated[float, typer.Option(help="Level of the tests.")]
TwoSided = Annotated[bool, typer.Option("--two-sided", help="Two-sided tests behind the significance score.")]
Draws = Annotated[int, typer.Option("--bootstrap", help="Resamplings of cases and trainings; 0 for none.")]
Shown = Annotated[int, typer.Option("--bootstrap", help="Resamplings of cases and trainings, at least 1.")]
Seed = Annotated[int, typer.Option(help="Seed of the resampling.")]
ByClass = Annotated[bool, typer.Option("--by-class", help="Make a task of each class.")]
Higher = Annotated[list[str] | None, typer.Option(help="A metric of yours of which more is better.")]
Lower = Annotated[list[str] | None, typer.Option(help="A metric of yours of which less is better.")]


def rank(
    tables: Tables,
    method: Method = "significance",
    metric: Metrics = None,
    policy: Policy = "worst",
    alpha: Alpha = 0.05,
    two_sided: TwoSided = False,
    draws: Draws = 1000,
    seed: Seed = 0,
    by_class: ByClass = False,
    higher: Higher = None,
    lower: Lower = None,
    column: Columns = None,
    by: By = "",
    percent: Percent = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the ranking as CSV.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Write every pair of losses as CSV.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write the leaderboard as a LaTeX table.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the leaderboard as a Markdown table.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking as JSON, and nothing else.")] = False,
) -> None:
    """Rank the losses of a table of scores, with an interval for every rank and mean.

    With several seeds the answer speaks of the losses trained again, on new cases; the statements about these trained
    networks stand beside it.

    Examples: `lossodyssey rank cases.csv --metric DSC --metric NSD`, `lossodyssey rank cases.csv --pairs pairs.csv`
    """
    rows = read_tables(tables, column, by=by, percent=percent)
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
    resampled = bootstrap(ranking, draws, seed) if draws else None
    intervals = mean_intervals(ranking, draws, seed)
    found = records(ranking, resampled, intervals)

    # Files come first: `--json` prints and ends.
    if csv_file:
        _write_csv(csv_file, found)
    if pairs:
        _write_csv(pairs, pair_records(ranking))
    _export(ranking, intervals, latex, markdown)
    if as_json:
        for note in ranking.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False))
        return

    doubtful, said = trainings_beside(tables, ranking)
    answer = verdict(
        ranking,
        rows,
        differences=effects(ranking, draws=draws, seed=seed) if draws else (),
        doubts=doubtful,
        trained=said,
        resampled=resampled,
        intervals=intervals,
    )
    show(ranking, answer, resampled, intervals)


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
) -> None:
    """Write the page that answers which loss to use.

    The output folder of a comparison that is under way gives the page of what is finished so far, which says all that
    is missing, and its table; both lie in the folder as `report-so-far.html` and `cases-so-far.csv`. An archive of
    `lossodyssey pack` gives the page that its folder would.

    Examples: `lossodyssey report cases.csv -o report.html --figures figures`, `lossodyssey report results`
    """
    from lossodyssey import report as pages
    from lossodyssey.report.evidence import read_evidence

    summaries: Sequence[RunSummary] = ()
    evidence: Evidence | None = None
    if len(tables) == 1 and (Path(tables[0]).is_dir() or tables[0].endswith(".tar.xz")):
        given = {"--runs": runs, "--column": column, "--by": by, "--percent": percent}
        source = Path(tables[0])
        rows, summaries, evidence = _so_far(source, [option for option, value in given.items() if value])
        output = output or (source / "report-so-far.html" if source.is_dir() else Path("report.html"))
    else:
        rows = read_tables(tables, column, by=by, percent=percent)
        summaries = _runs_of(rows, runs) if runs else ()
        evidence = read_evidence(runs) if runs else None
    output = output or Path("report.html")
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
        command=" ".join(command),
    )
    typer.echo(answer.headline)
    typer.echo(str(output))


def _so_far(source: Path, without_effect: Sequence[str]) -> tuple[Table, list[RunSummary], Evidence]:
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
        return found.rows, [read_run(run) for run in found.folders], evidence


def _runs_of(rows: list[Row], folder: Path) -> list[RunSummary]:
    """Read the runs for the page of `rows`; curves of another engine would tell of other trainings."""
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


def _export(ranking: Ranking, intervals: Sequence[Means], latex: Path | None, markdown: Path | None) -> None:
    """Write the leaderboard for a paper, every mean with its interval."""
    if latex is None and markdown is None:
        return
    from lossodyssey.report import export

    values = [[*zip(own.mean, own.low, own.high, strict=True)] for own in intervals]
    for path, write in ((latex, export.latex), (markdown, export.markdown)):
        if path is not None:
            write_text(path, write(ranking, values))


def _write_csv(path: Path, found: list[Record]) -> None:
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
