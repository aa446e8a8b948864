"""`lossodyssey rank`: from a table of scores to an answer in the terminal."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossodyssey.atomic import write_text, writing
from lossodyssey.cli.standing import show, trainings_beside
from lossodyssey.cli.tables import By, Columns, Percent, directions, read_tables
from lossodyssey.ranking.bootstrap import bootstrap
from lossodyssey.ranking.brief import in_short
from lossodyssey.ranking.cells import POLICIES
from lossodyssey.ranking.effects import effects
from lossodyssey.ranking.means import Means, mean_intervals
from lossodyssey.ranking.methods import METHODS
from lossodyssey.ranking.nouns import called
from lossodyssey.ranking.rank import Ranking
from lossodyssey.ranking.rank import rank as rank_rows
from lossodyssey.ranking.records import Record, pair_records, records
from lossodyssey.ranking.verdict import verdict

if TYPE_CHECKING:
    pass

Tables = Annotated[
    list[str],
    typer.Argument(
        help="Tables (cases.csv), LOSS=table.csv of one loss, or LOSS=summary.json of nnU-Net, once per fold."
    ),
]
Method = Annotated[str, typer.Option(help=f"How to score: {', '.join(METHODS)}.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Metric to rank by; repeat for several.")]
Policy = Annotated[str, typer.Option(help=f"Missing values: {', '.join(POLICIES)}.")]
Alpha = Annotated[float, typer.Option(help="Level of the tests.")]
TwoSided = Annotated[bool, typer.Option("--two-sided", help="Two-sided tests behind the significance score.")]
Draws = Annotated[int, typer.Option("--bootstrap", help="Resamplings of cases and trainings; 0 for none.")]
What = Annotated[str, typer.Option(help="What is compared, in a word: model, or mouse/mice with its plural.")]
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
    what: What = "loss",
) -> None:
    """Rank the losses of a table of scores, with an interval for every rank and mean.

    With several seeds the answer speaks of the losses trained again, on new cases; the statements about these trained
    networks stand beside it.

    `--what model` compares models, methods or teams by the same tests, and calls them so.

    Examples: `lossodyssey rank cases.csv --metric DSC --metric NSD`, `lossodyssey rank cases.csv --pairs pairs.csv`
    """
    with called(what):
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
        behind = effects(ranking, draws=draws, seed=seed) if draws else ()
        answer = verdict(
            ranking,
            rows,
            differences=behind,
            doubts=doubtful,
            trained=said,
            resampled=resampled,
            intervals=intervals,
        )
        show(ranking, answer, resampled, intervals, in_short(ranking, answer, behind))


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
