"""The page: one HTML file with everything inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossodyssey.atomic import write_text
from lossodyssey.ranking.agreement import Agreement, agreements
from lossodyssey.ranking.bootstrap import Bootstrap, bootstrap, top_frequency
from lossodyssey.ranking.cells import POLICIES
from lossodyssey.ranking.effects import Effects, effects
from lossodyssey.ranking.methods import TITLES
from lossodyssey.ranking.rank import Ranking, Standing, rank
from lossodyssey.ranking.verdict import Verdict, verdict
from lossodyssey.report import plates, render
from lossodyssey.report.figures.pictures import overlay
from lossodyssey.report.overlays import Overlay
from lossodyssey.report.plates import Plate
from lossodyssey.report.runs import RunSummary, costs
from lossodyssey.table import COLUMNS, OPTIONAL, Row

MOST_CLASS_FIGURES = 24


@dataclass(frozen=True)
class Section:
    """A heading with its figures; those in `more` are folded away."""

    key: str
    title: str
    plates: Sequence[Plate]
    more: Sequence[Plate] = ()


def write(
    rows: Iterable[Row],
    path: str | Path,
    *,
    ranking: Ranking | None = None,
    runs: Sequence[RunSummary] = (),
    overlays: Sequence[Overlay] = (),
    figures: str | Path | None = None,
    draws: int = 1000,
    seed: int = 0,
    command: str = "",
) -> Verdict:
    """Write the report of a long table to one self-contained HTML file and return its verdict.

    `ranking` is computed with default settings where it is not given; see `lossodyssey.ranking.rank` for errors.
    `figures` names a folder that gets every figure as SVG and PNG with its numbers as CSV; `draws` and `seed` belong
    to the resampling of cases; `command` is shown as the one that made the page.
    """
    table = list(rows)
    ranking = ranking or rank(table)
    behind = effects(ranking, draws=draws, seed=seed)
    answer = verdict(ranking, table, costs(runs), behind)
    resampled = bootstrap(ranking, draws, seed)
    sections = _sections(ranking, table, resampled, behind, answer)
    curves = plates.training(runs)
    html = render.template("report.html").render(
        title="Which loss should I use?",
        verdict=answer,
        ranking=ranking,
        method=TITLES[ranking.method],
        policy=POLICIES[ranking.policy],
        draws=draws,
        seed=seed,
        leaders=_leaderboard(ranking, resampled, answer),
        sections=sections,
        curves=curves,
        overlays=[(picture.title, render.png_uri(overlay(picture))) for picture in overlays],
        runs=runs,
        spending=_spending(ranking, runs),
        statuses=_statuses(table),
        commands=[*dict.fromkeys(run.command for run in runs if run.command), *([command] if command else [])],
        long_table=render.csv_uri([COLUMNS + OPTIONAL, *(row.cells() for row in table)], "cases"),
        facts=_facts(ranking, table),
    )
    write_text(path, html)
    if figures:
        drawn = [plate for section in sections for plate in (*section.plates, *section.more)]
        render.write_figures(figures, [*drawn, *([curves] if curves else [])])
    return answer


def _sections(
    ranking: Ranking, rows: Sequence[Row], resampled: Bootstrap, behind: Sequence[Effects], answer: Verdict
) -> list[Section]:
    strong, order = answer.groups[0], ranking.overall.order
    topics = agreements(rows, ranking)
    by_metric = [plates.ranks_by_metric(ranking, topic, strong) for topic in topics if topic.topic == "metrics"]
    differences = [plates.effect(found, order) for found in behind]
    sure = [plates.resampled_ranks(ranking, resampled, strong), plates.critical_difference(ranking)]
    return [
        Section("sure", "How sure is the ranking?", [*sure, plates.significance_map(ranking)]),
        Section("behind", "How large are the differences?", differences[:1], differences[1:]),
        Section(
            "cases",
            "Every case",
            [plates.distribution(s, order, strong) for s in ranking.standings],
            _by_class(rows, ranking, strong),
        ),
        Section("agreement", "Would another choice change the answer?", [*by_metric, *_tau(topics)]),
    ]


def _tau(topics: Sequence[Agreement]) -> list[Plate]:
    return [plates.agreement(topic) for topic in topics]


def _by_class(rows: Sequence[Row], ranking: Ranking, strong: Sequence[str]) -> list[Plate]:
    """Plot single classes under the headline metrics, where there are several but not very many."""
    names = {row.class_name for row in rows}
    if len(names) < 2 or len(names) * len(ranking.tasks) * len(ranking.headline) > MOST_CLASS_FIGURES:
        return []
    directions = {s.cell.metric: s.cell.measure.higher_is_better for s in ranking.standings}
    return [
        plates.distribution(s, [s.cell.losses.index(ranking.losses[i]) for i in ranking.overall.order], strong, name)
        for name in sorted(names)
        for s in _class_standings([row for row in rows if row.class_name == name], ranking, directions)
    ]


def _class_standings(rows: Sequence[Row], ranking: Ranking, directions: Mapping[str, bool]) -> tuple[Standing, ...]:
    """Standings of one class; none where a loss or a metric lacks it."""
    try:
        found = rank(rows, metrics=ranking.headline, policy=ranking.policy, higher_is_better=directions)
    except ValueError:
        return ()
    return found.standings if set(found.losses) == set(ranking.losses) else ()


def _facts(ranking: Ranking, rows: Sequence[Row]) -> list[tuple[str, str]]:
    cases = {s.cell.task: len(s.cell.cases) for s in ranking.standings}
    classes = sorted({row.class_name for row in rows})
    return [
        ("losses", str(len(ranking.losses))),
        ("cases", str(sum(cases.values()))),
        ("seeds", str(len({row.seed for row in rows}))),
        ("data", ", ".join(ranking.tasks)),
        ("classes", ", ".join(classes) if len(classes) <= 4 else str(len(classes))),
        ("metrics", ", ".join(ranking.metrics)),
    ]


def _leaderboard(ranking: Ranking, resampled: Bootstrap, answer: Verdict) -> list[dict[str, Any]]:
    overall, count = ranking.overall, len(ranking.losses)
    first, three = (top_frequency(resampled.overall, k) for k in (1, 3))
    return [
        {
            "place": place,
            "loss": ranking.losses[i],
            "leads": ranking.losses[i] in answer.groups[0],
            "score": overall.score[i],
            "holm": overall.significance_score_holm[i],
            "mean_rank": overall.mean_rank[i],
            "low": int(overall.rank_low[i]),
            "high": int(overall.rank_high[i]),
            "start": (overall.rank_low[i] - 1) / count,
            "stop": overall.rank_high[i] / count,
            "first": first[i],
            "three": three[i],
            "means": [s.cell.values[i].mean() for s in ranking.standings],
        }
        for place, i in enumerate(overall.order, 1)
    ]


def _spending(ranking: Ranking, runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """What each loss cost and how steady it was; no line where nothing is known about a loss."""
    spent = costs(runs)
    lines = []
    for i in ranking.overall.order:
        own = [run for run in runs if run.loss == ranking.losses[i]]
        deviations = [s.cell.seed_deviation[i] for s in ranking.standings if s.cell.metric in ranking.headline]
        steady = [value for value in deviations if np.isfinite(value)]
        if own or steady:
            lines.append(
                {
                    "loss": ranking.losses[i],
                    "cost": spent.get(ranking.losses[i]),
                    "finished": sum(run.status == "finished" for run in own),
                    "runs": len(own),
                    "deviation": float(np.mean(steady)) if steady else float("nan"),
                    "failures": sorted({f"{r.status}: {r.reason}" for r in own if r.status != "finished"}),
                }
            )
    return lines


def _statuses(rows: Sequence[Row]) -> dict[str, Any]:
    """Count, per loss and metric, the entries that are not plain values."""
    names = sorted({row.status for row in rows} - {"ok"})
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        if row.status != "ok":
            own = counts.setdefault((row.loss, row.metric), dict.fromkeys(names, 0))
            own[row.status] += 1
    return {"names": names, "counts": counts}
