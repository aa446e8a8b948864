"""A ranking in the terminal: the answer, the table, the notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossodyssey.ranking.agreement import sidedness
from lossodyssey.ranking.bootstrap import Bootstrap, top_frequency
from lossodyssey.ranking.caveats import Doubt
from lossodyssey.ranking.means import Means
from lossodyssey.ranking.nouns import noun
from lossodyssey.ranking.power import power_line
from lossodyssey.ranking.rank import Counts, Ranking, rank_interval
from lossodyssey.ranking.verdict import Verdict

TextColumn = tuple[str, list[str]]
UNBOUNDED = 10_000


def show(
    ranking: Ranking, answer: Verdict, resampled: Bootstrap | None, intervals: Sequence[Means], short: str
) -> None:
    """Print the answer with its reasons, the leaderboard and the notes."""
    console = Console()
    console.print(Text(answer.headline, style="bold"))
    console.print(Text(short), end="\n" * bool(short))
    for reason in (*answer.refusals, *answer.reasons):
        console.print(Text(reason))
    for table in _tables(console, ranking, resampled, intervals):
        console.print(table)
    side = [sidedness(ranking)] if ranking.method == "significance" else []
    for note in (*answer.caveats, power_line(ranking), *ranking.notes, *side):
        console.print(Text(f"note: {note}", style="dim"))


def trainings_beside(tables: Sequence[str], ranking: Ranking) -> tuple[list[Doubt], list[str]]:
    """Return the doubts about the trainings whose run folders lie beside the tables, and sentences on them."""
    folders = [*dict.fromkeys(Path(table).parent for table in tables if (Path(table).parent / "runs").is_dir())]
    if not folders:
        return [], []
    try:
        from lossodyssey.report.doubts import doubts, trained
        from lossodyssey.report.evidence import Evidence, read_evidence
        from lossodyssey.report.runs import read_runs
    except ModuleNotFoundError:  # the report is an extra of its own
        return [], []
    runs = [run for folder in folders for run in read_runs(folder)]
    # Tables of several comparisons are of several budgets: only one comparison has shorter ones beside it.
    evidence = read_evidence(folders[0]) if len(folders) == 1 else Evidence()
    return doubts(runs, evidence), trained(ranking, runs, evidence)


def _tables(console: Console, ranking: Ranking, resampled: Bootstrap | None, intervals: Sequence[Means]) -> list[Table]:
    """Arrange the leaderboard; metrics for which the terminal is too narrow go to tables of their own below.

    rich would shorten numbers to an ellipsis rather than overflow, and a shortened mean is silently wrong.
    """
    ranks, metrics = _ranks(ranking, resampled), _metrics(ranking, intervals)
    tables, shown = [], ranks
    for column in metrics:
        if not _fits(console, _table(ranking, [*shown, column])):
            tables.append(_table(ranking, shown))
            shown = []
        shown = [*shown, column]
    return [*tables, _table(ranking, shown)]


def _fits(console: Console, table: Table) -> bool:
    return console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum <= console.width


def _table(ranking: Ranking, columns: Sequence[TextColumn]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(noun(), overflow="fold")
    for heading, _ in columns:
        table.add_column(heading, justify="right")
    for line, i in enumerate(ranking.overall.order):
        table.add_row(Text(ranking.losses[i]), *(texts[line] for _, texts in columns))
    return table


def _ranks(ranking: Ranking, resampled: Bootstrap | None) -> list[TextColumn]:
    standing = ranking.overall
    order, best = standing.order, standing.best_set
    first = top_frequency(resampled.overall, 1) if resampled else None
    columns = [("ranks, these\nnetworks", [_range((standing.rank_low, standing.rank_high), i) for i in order])]

    if standing.retrained:  # the headline follows this statement, so it stands first
        again = rank_interval(standing.better_retrained)
        columns.insert(0, ("ranks,\nretrained", [_range(again, i) for i in order]))
    columns.append(("best\nset", ["yes" if best[i] else "no" for i in order]))
    columns.append(("score", [f"{standing.score[i]:.2f}" for i in order]))
    columns.append(("mean rank", [f"{standing.mean_rank[i]:.2f}" for i in order]))
    return columns if first is None else [*columns, ("first", [f"{first[i]:.0%}" for i in order])]


def _metrics(ranking: Ranking, intervals: Sequence[Means]) -> list[TextColumn]:
    several = len(ranking.tasks) > 1
    return [
        (
            f"{s.cell.measure.titled(s.cell.metric)}{f'{chr(10)}{s.cell.task}' * several}",
            [_mean(ranking, k, i, intervals) for i in ranking.overall.order],
        )
        for k, s in enumerate(ranking.standings)
    ]


def _range(ends: tuple[Counts, Counts], i: int) -> str:
    low, high = ends[0][i], ends[1][i]
    return str(low) if low == high else f"{low}-{high}"


def _mean(ranking: Ranking, k: int, i: int, intervals: Sequence[Means]) -> str:
    text = f"{ranking.standings[k].cell.values[i].mean():.3f}"
    return f"{text}\n{intervals[k].low[i]:.3f}-{intervals[k].high[i]:.3f}" if intervals else text
