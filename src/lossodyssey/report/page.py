"""The page: one HTML file with everything inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from lossodyssey import __version__
from lossodyssey.atomic import write_text
from lossodyssey.ranking.agreement import Agreement, agreements, sidedness
from lossodyssey.ranking.bootstrap import Bootstrap, bootstrap
from lossodyssey.ranking.brief import in_short, methods_text
from lossodyssey.ranking.caveats import span
from lossodyssey.ranking.cells import POLICIES
from lossodyssey.ranking.effects import Effects, effects
from lossodyssey.ranking.means import mean_intervals
from lossodyssey.ranking.methods import TITLES
from lossodyssey.ranking.nouns import called, noun, nouns
from lossodyssey.ranking.power import power_line
from lossodyssey.ranking.rank import Ranking, Standing, rank
from lossodyssey.ranking.records import pair_records
from lossodyssey.ranking.verdict import Verdict, verdict
from lossodyssey.report import plates, render
from lossodyssey.report.along import progress, warning
from lossodyssey.report.data import shown
from lossodyssey.report.doubts import doubts, trained
from lossodyssey.report.evidence import Evidence
from lossodyssey.report.figures.pictures import LEGEND, overlay
from lossodyssey.report.leaderboard import leaderboard, task_by_task
from lossodyssey.report.marks import explained
from lossodyssey.report.names import short_names, shortened
from lossodyssey.report.overlays import Gallery, Overlay
from lossodyssey.report.plates import Plate
from lossodyssey.report.runs import RunSummary, costs
from lossodyssey.report.searched import tuning, warnings
from lossodyssey.report.training import shared_settings, spending, statuses
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
    evidence: Evidence | None = None,
    overlays: Sequence[Overlay] = (),
    galleries: Sequence[Gallery] = (),
    figures: str | Path | None = None,
    draws: int = 1000,
    seed: int = 0,
    command: str = "",
    title: str = "",
    what: str = "loss",
    references: Sequence[str] = (),
) -> Verdict:
    """Write the report of a long table to one self-contained HTML file and return its verdict.

    `ranking` is computed with default settings where it is not given; see `lossodyssey.ranking.rank` for errors.
    `evidence` are the files of the comparison that tell of its trainings, beside its `runs`.
    `figures` names a folder that gets every figure as SVG and PNG with its numbers as CSV; `draws` and `seed` belong
    to the resampling of cases; `command` is shown as the one that made the page. `overlays` are pictures to show,
    `galleries` pictures under headings of their own. `title` stands in place of "Which loss should I use?", `what` in
    place of the word loss: "model", or "mouse/mice". `references` are the papers to cite, as texts.

    Raises:
        ValueError: the table cannot be ranked, `draws` is not positive, or `what` is not a word.
    """
    with called(what):
        about = _About(title or f"Which {noun()} should I use?", command, tuple(references))
        return _write(rows, Path(path), ranking, runs, evidence, (overlays, galleries), figures, draws, seed, about)


@dataclass(frozen=True)
class _About:
    """The title of a page, the command that made it, and the papers behind it."""

    title: str
    command: str
    references: tuple[str, ...]


def _write(
    rows: Iterable[Row],
    path: Path,
    ranking: Ranking | None,
    runs: Sequence[RunSummary],
    evidence: Evidence | None,
    pictures: tuple[Sequence[Overlay], Sequence[Gallery]],
    figures: str | Path | None,
    draws: int,
    seed: int,
    about: _About,
) -> Verdict:
    table, (overlays, galleries) = list(rows), pictures
    ranking = ranking or rank(table)
    known = evidence or Evidence()
    runs = known.of_table(runs)

    # One seed for all three: differences, ranks and means tell of the same draws.
    behind, resampled = effects(ranking, draws=draws, seed=seed), bootstrap(ranking, draws, seed)
    intervals = mean_intervals(ranking, draws, seed)
    answer = verdict(
        ranking,
        table,
        costs(runs),
        behind,
        doubts=doubts(runs, known),
        trained=trained(ranking, runs, known),
        resampled=resampled,
        intervals=intervals,
    )

    names = short_names([ranking.losses[i] for i in ranking.overall.order])
    tasks = short_names(ranking.tasks, "T")
    compared = [row for row in table if row.loss in ranking.losses]
    sections = _sections(ranking, compared, resampled, behind, answer, names)
    training = [
        plate for plate in (tuning(known.searches, names), progress(runs, names), plates.training(runs, names)) if plate
    ]
    html = render.template("report.html").render(
        title=about.title,
        short=in_short(ranking, answer, behind),
        methods=methods_text(ranking, draws, __version__),
        references=about.references,
        verdict=answer,
        ranking=ranking,
        method=TITLES[ranking.method],
        policy=POLICIES[ranking.policy],
        draws=draws,
        seed=seed,
        leaders=leaderboard(ranking, resampled, answer.groups[0], tasks, intervals),
        by_task=task_by_task(ranking, answer.groups[0], intervals),
        sidedness=sidedness(ranking),
        power=power_line(ranking),
        pairs=_pairs(ranking),
        marks=explained(ranking.alpha),
        abbreviations=shortened([*names.items(), *tasks.items()]),
        sections=sections,
        training=training,
        warnings=[*warnings(known.searches), *warning(runs)],
        galleries=[_drawn(gallery) for gallery in (Gallery("Cases", overlays), *galleries) if gallery.pictures],
        legend=LEGEND,
        data=shown(known.data, ranking.tasks),
        runs=runs,
        settings=shared_settings(runs),
        spending=spending(ranking, runs),
        statuses=statuses(table),
        commands=[*dict.fromkeys(filter(None, [*(run.command for run in runs), about.command]))],
        long_table=render.csv_uri([COLUMNS + OPTIONAL, *(row.cells() for row in table)], "cases"),
        facts=_facts(ranking, table),
    )

    # The page is whole before the figures are written: a full disk then costs the copies alone.
    write_text(path, html)
    if figures:
        drawn = [plate for section in sections for plate in (*section.plates, *section.more)]
        render.write_figures(figures, [*drawn, *training])
    return answer


def _drawn(gallery: Gallery) -> tuple[Gallery, list[tuple[str, str]]]:
    """Draw the pictures of a gallery: (title, address of the picture) each."""
    # PNG, not SVG: a slice has as many values as pixels.
    return gallery, [(picture.title, render.png_uri(overlay(picture))) for picture in gallery.pictures]


def _sections(
    ranking: Ranking,
    rows: Sequence[Row],
    resampled: Bootstrap,
    behind: Sequence[Effects],
    answer: Verdict,
    names: Mapping[str, str],
) -> list[Section]:
    strong, order = answer.groups[0], ranking.overall.order
    topics = agreements(rows, ranking)
    by_metric = [plates.ranks_by_metric(ranking, topic, strong, names) for topic in topics if topic.topic == "metrics"]
    differences = [plates.effect(found, order, names) for found in behind]
    sure = [plates.resampled_ranks(ranking, resampled, strong, names), plates.critical_difference(ranking, names)]

    return [
        Section("sure", "How sure is the ranking?", [*sure, *plates.significance_maps(ranking, names)]),
        Section("behind", "How large are the differences?", differences[:1], differences[1:]),
        Section(
            "cases",
            "Every case",
            [plates.distribution(s, order, strong, names) for s in ranking.standings],
            _by_class(rows, ranking, strong, names),
        ),
        Section("agreement", "Would another choice change the answer?", [*by_metric, *_tau(topics)]),
    ]


def _tau(topics: Sequence[Agreement]) -> list[Plate]:
    return [plates.agreement(topic) for topic in topics]


def _by_class(rows: Sequence[Row], ranking: Ranking, strong: Sequence[str], names: Mapping[str, str]) -> list[Plate]:
    """Plot single classes under the headline metrics, where there are several but not very many."""
    classes = {row.class_name for row in rows}
    if len(classes) < 2 or len(classes) * len(ranking.tasks) * len(ranking.headline) > MOST_CLASS_FIGURES:
        return []
    directions = {s.cell.metric: s.cell.measure.higher_is_better for s in ranking.standings}
    return [
        plates.distribution(s, [s.cell.losses.index(loss) for loss in names], strong, names, name)
        for name in sorted(classes)
        for s in _class_standings([row for row in rows if row.class_name == name], ranking, directions)
    ]


def _class_standings(rows: Sequence[Row], ranking: Ranking, directions: Mapping[str, bool]) -> tuple[Standing, ...]:
    """Rank one class by itself; return no standing where a loss or a metric lacks it."""
    try:
        found = rank(rows, metrics=ranking.headline, policy=ranking.policy, higher_is_better=directions)
    except ValueError:
        return ()
    # A figure without some of the losses would be read as if they had been left out on purpose.
    return found.standings if set(found.losses) == set(ranking.losses) else ()


def _pairs(ranking: Ranking) -> Markup:
    """Return the link to all pairs of losses as CSV."""
    found = pair_records(ranking)
    return render.csv_uri([list(found[0]), *(["" if v is None else v for v in own.values()] for own in found)], "pairs")


def _facts(ranking: Ranking, rows: Sequence[Row]) -> list[tuple[str, str]]:
    cases = {s.cell.task: len(s.cell.cases) for s in ranking.standings}
    classes = sorted({row.class_name for row in rows})
    return [
        (nouns(), str(len(ranking.losses))),
        ("cases", str(sum(cases.values()))),
        ("seeds", span(*ranking.seeds)),
        ("data", ", ".join(ranking.tasks)),
        ("classes", ", ".join(classes) if len(classes) <= 4 else str(len(classes))),
        ("metrics", ", ".join(ranking.metrics)),
    ]
