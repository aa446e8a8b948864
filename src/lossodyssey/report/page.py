"""The page: one HTML file with everything inside."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from lossodyssey.atomic import write_text
from lossodyssey.ranking.rank import Ranking, Standing, rank
from lossodyssey.ranking.verdict import Verdict, verdict
from lossodyssey.report.figures import style
from lossodyssey.report.figures.curves import training
from lossodyssey.report.figures.distributions import raincloud
from lossodyssey.report.figures.pictures import overlay
from lossodyssey.report.overlays import Overlay
from lossodyssey.report.runs import RunSummary, costs
from lossodyssey.table import COLUMNS, OPTIONAL, Row


@dataclass(frozen=True)
class Plate:
    """A figure on the page with what it shows, how to read it, and its numbers as CSV text."""

    title: str
    caption: str
    picture: Markup
    table: str


def write(
    rows: Iterable[Row],
    path: str | Path,
    *,
    ranking: Ranking | None = None,
    runs: Sequence[RunSummary] = (),
    overlays: Sequence[Overlay] = (),
    title: str = "Which loss should I use?",
) -> Verdict:
    """Write the report of a long table to one self-contained HTML file and return its verdict.

    `ranking` is computed with default settings where it is not given; see `lossodyssey.ranking.rank` for errors.
    """
    table = list(rows)
    ranking = ranking or rank(table)
    answer = verdict(ranking, table, costs(runs))
    html = _template().render(
        title=title,
        verdict=answer,
        ranking=ranking,
        leaders=_leaderboard(ranking, answer),
        plates=_distributions(ranking, answer),
        curves=_curves(runs),
        overlays=[(picture.title, _png(overlay(picture))) for picture in overlays],
        runs=[asdict(run) for run in runs],
        long_table=_data_uri(_csv([COLUMNS + OPTIONAL, *(row.cells() for row in table)])),
        facts=_facts(ranking, table),
    )
    write_text(path, html)
    return answer


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("lossodyssey.report", "template")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "duration": _duration, "memory": _memory}
    environment.globals["asset"] = _asset
    return environment.get_template("page.html")


def _asset(name: str) -> Markup:
    return Markup((files("lossodyssey.report") / "template" / name).read_text(encoding="utf-8"))


def _facts(ranking: Ranking, rows: Sequence[Row]) -> list[tuple[str, str]]:
    tasks = dict.fromkeys(s.cell.task for s in ranking.standings)
    metrics = dict.fromkeys(s.cell.metric for s in ranking.standings)
    cases = {s.cell.task: len(s.cell.cases) for s in ranking.standings}
    return [
        ("losses", str(len(ranking.losses))),
        ("cases", str(sum(cases.values()))),
        ("seeds", str(len({row.seed for row in rows}))),
        ("data", ", ".join(tasks)),
        ("metrics", ", ".join(metrics)),
    ]


def _leaderboard(ranking: Ranking, answer: Verdict) -> list[dict[str, Any]]:
    overall = ranking.overall
    group = {loss: i for i, losses in enumerate(answer.groups) for loss in losses}
    return [
        {
            "place": place,
            "loss": ranking.losses[i],
            "group": group[ranking.losses[i]],
            "score": overall.score[i],
            "holm": overall.significance_score_holm[i],
            "mean_rank": overall.mean_rank[i],
            "low": int(overall.rank_low[i]),
            "high": int(overall.rank_high[i]),
            "means": [s.cell.values[i].mean() for s in ranking.standings],
            "filled": int(sum(s.cell.filled[i] for s in ranking.standings)),
        }
        for place, i in enumerate(overall.order, 1)
    ]


def _distributions(ranking: Ranking, answer: Verdict) -> list[Plate]:
    return [_distribution(ranking, answer, standing) for standing in ranking.standings]


def _distribution(ranking: Ranking, answer: Verdict, standing: Standing) -> Plate:
    cell, order = standing.cell, ranking.overall.order
    losses = [cell.losses[i] for i in order]
    figure = raincloud(cell.values[order], losses, cell.metric, answer.groups[0])
    direction = "Further right is better." if cell.measure.higher_is_better else "Further left is better."
    caption = (
        f"{cell.metric} of every case on {cell.task}. Each dot is one case; the thick bar holds the middle half of "
        f"the cases, the thin one 90 %, the dark dot is the median, the hill shows where cases crowd. {direction} "
        "Coloured: losses that cannot be told apart from the best."
    )
    lines = [
        ("loss", *cell.cases),
        *((loss, *map(repr, map(float, cell.values[i]))) for loss, i in zip(losses, order, strict=True)),
    ]
    return plate(f"{cell.metric}, {cell.task}", caption, figure, _csv(lines))


def _curves(runs: Sequence[RunSummary]) -> Plate | None:
    drawn = [(f"{run.loss}, seed {run.seed}", run.curve) for run in runs if run.curve.steps]
    if not drawn:
        return None
    caption = (
        "The value each loss reported while training, averaged over neighbouring steps. Losses have different units, "
        "so every curve is divided by its first value: compare shapes, not heights."
    )
    lines = [
        ("run", "step", "loss"),
        *((n, str(s), repr(v)) for n, c in drawn for s, v in zip(c.steps, c.losses, strict=True)),
    ]
    return plate("Training curves", caption, training(drawn), _csv(lines))


def plate(title: str, caption: str, figure: Figure, table: str) -> Plate:
    """Put a figure and its numbers on the page."""
    key = "f" + "".join(c for c in base64.b32encode(title.encode()).decode().lower() if c.isalnum())[:40]
    return Plate(title, caption, Markup(style.svg(figure, key)), _data_uri(table))


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _csv(lines: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def _data_uri(text: str) -> str:
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    return (
        f"{seconds:.1f} s"
        if seconds < 100
        else f"{seconds / 60:.1f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def _memory(value: float) -> str:
    return "–" if math.isnan(value) else f"{value / 2**20:,.0f} MiB"
