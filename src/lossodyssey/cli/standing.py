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
from lossodyssey.ranking.power import power_line
from lossodyssey.ranking.rank import Counts, Ranking, rank_interval
from lossodyssey.ranking.verdict import Verdict


def show(ranking: Ranking, answer: Verdict, resampled: Bootstrap | None, intervals: Sequence[Means]) -> None:
    """Print the answer with its reasons, the leaderboard, and what a reader must keep in mind."""
    console = Console()
    console.print(Text(answer.headline, style="bold"))
    for reason in (*answer.refusals, *answer.reasons):
        console.print(Text(reason))
    console.print(_table(ranking, resampled, intervals))
    side = [sidedness(ranking)] if ranking.method == "significance" else []
    for note in (*answer.caveats, power_line(ranking), *ranking.notes, *side):
        console.print(Text(f"note: {note}", style="dim"))


def doubts_beside(tables: Sequence[str]) -> list[Doubt]:
    """Return the doubts about the trainings whose run folders lie beside the tables, where there are any."""
    folders = [Path(table).parent for table in tables if (Path(table).parent / "runs").is_dir()]
    if not folders:
        return []
    try:
        from lossodyssey.report.doubts import doubts
        from lossodyssey.report.runs import read_runs
    except ModuleNotFoundError:  # the report is an extra of its own
        return []
    return doubts([run for folder in dict.fromkeys(folders) for run in read_runs(folder)])


def _table(ranking: Ranking, resampled: Bootstrap | None, intervals: Sequence[Means]) -> Table:
    standing = ranking.overall
    trained = standing.rank_low, standing.rank_high
    again = rank_interval(standing.better_retrained) if standing.retrained else None
    first = top_frequency(resampled.overall, 1) if resampled else None
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("loss", overflow="fold")
    shown = [f"{s.cell.metric}\n{s.cell.task}" if len(ranking.tasks) > 1 else s.cell.metric for s in ranking.standings]
    ranks = ["ranks,\nretrained", "ranks, these\nnetworks"] if again else ["ranks, these\nnetworks"]
    for heading in (*ranks, "score", "mean rank", *(["first"] if resampled else []), *shown):
        table.add_column(heading, justify="right")
    for i in standing.order:
        table.add_row(
            Text(ranking.losses[i]),
            *([_range(again, i)] if again else []),
            _range(trained, i),
            f"{standing.score[i]:.2f}",
            f"{standing.mean_rank[i]:.2f}",
            *([] if first is None else [f"{first[i]:.0%}"]),
            *(_mean(ranking, k, i, intervals) for k in range(len(ranking.standings))),
        )
    return table


def _range(ends: tuple[Counts, Counts], i: int) -> str:
    low, high = ends[0][i], ends[1][i]
    return str(low) if low == high else f"{low}-{high}"


def _mean(ranking: Ranking, k: int, i: int, intervals: Sequence[Means]) -> str:
    text = f"{ranking.standings[k].cell.values[i].mean():.3f}"
    return f"{text}\n{intervals[k].low[i]:.3f}-{intervals[k].high[i]:.3f}" if intervals else text
