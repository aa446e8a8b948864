"""Write the page of our own odyssey from the records in `paper/results`, and the table that the losses' pages quote.

python paper/odyssey.py            writes docs/odyssey.md and src/lossodyssey/guide/measured.csv
python paper/odyssey.py --keep STUDY NAME    keeps the records of a comparison under paper/results/NAME
python paper/odyssey.py --report odyssey.html    writes the same as one page of figures, too
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from lossodyssey.bench.packing import pack, unpacked
from lossodyssey.bench.partial import read_partial, shorter_lengths
from lossodyssey.fingerprint.record import Fingerprint, parse
from lossodyssey.guide.cite import references
from lossodyssey.guide.measured import Effect, as_csv, effects_of
from lossodyssey.guide.nearest import Facts
from lossodyssey.ranking import paper
from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.bootstrap import Bootstrap, bootstrap
from lossodyssey.ranking.caveats import caveats, listed, span
from lossodyssey.ranking.means import Means, mean_intervals
from lossodyssey.ranking.published import ranked
from lossodyssey.ranking.rank import Ranking, rank, rank_interval
from lossodyssey.ranking.verdict import indistinguishable
from lossodyssey.report import write
from lossodyssey.report.along import order, rising, scores
from lossodyssey.report.evidence import TUNING, Evidence, Search, read_searches
from lossodyssey.report.runs import RunSummary, read_runs
from lossodyssey.table import Row

sys.path.insert(0, str(Path(__file__).parent))
from asides import asides
from kept_tables import among
from needed import needed

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "paper" / "results"
PAGE = ROOT / "docs" / "odyssey.md"
MEASURED = ROOT / "src" / "lossodyssey" / "guide" / "measured.csv"
REFERENCE = "DiceCE batch"
DRAWS = 500
OWN_NAMES = {"SS r 0.1": "SS"}


@dataclass(frozen=True)
class Odyssey:
    """The records of one data set: the table at the full budget, those of shorter ones, every run, every search."""

    rows: Sequence[Row]
    shorter: dict[int, Sequence[Row]]
    runs: Sequence[RunSummary]
    searches: Sequence[Search]
    notes: Sequence[str]
    sheet: Fingerprint | None = None

    @cached_property
    def ranking(self) -> Ranking:
        return rank(self.rows)

    @cached_property
    def resampled(self) -> Bootstrap:
        return bootstrap(self.ranking, DRAWS)

    @cached_property
    def intervals(self) -> list[Means]:
        return mean_intervals(self.ranking, DRAWS)

    @property
    def dataset(self) -> str:
        return self.rows[0].dataset

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.searches, self.shorter)

    @cached_property
    def trainings(self) -> list[RunSummary]:
        """The runs at the full budget that make the table."""
        return self.evidence.of_table(self.runs)

    @property
    def steps(self) -> int:
        """The length of the trainings that make the table."""
        return max(int(run.settings["steps"]) for run in self.trainings)

    def effects(self) -> Iterator[Effect]:
        """Yield what every loss is better or worse by than the reference."""
        expressions = {run.loss: run.expression for run in self.trainings}
        facts = Facts.of(self.sheet) if self.sheet else Facts()
        return effects_of(self.ranking, REFERENCE, expressions, self.steps, facts)

    def rate(self, loss: str) -> str:
        """The learning rate of a loss, marked where it lies at the edge of those tried."""
        found = [search for search in self.searches if search.loss == loss]
        return " ".join(f"{search.chosen:g}{'!' if search.edge else ''}" for search in found) or "-"


def read(archive: Path) -> Odyssey:
    """Read the records of one data set."""
    with unpacked(archive) as folder:
        found = read_partial(folder)
        shorter = {length: read_partial(folder, length).rows for length in shorter_lengths(folder)}
        searches = read_searches(folder / TUNING)
        return Odyssey(found.rows, dict(shorter), read_runs(folder), searches, found.rows.notes, read_sheet(folder))


def read_sheet(folder: Path) -> Fingerprint | None:
    """Read the fingerprint of the data set of a comparison; None where it has none."""
    for file in folder.glob("fingerprint-*.json"):
        return parse(file.read_text(encoding="utf-8"), file)
    return None


def page(studies: Sequence[Odyssey]) -> str:
    """Write the whole page."""
    text = (ROOT / "paper" / "odyssey_head.md").read_text(encoding="utf-8")
    parts = [text.strip(), *(("\n\n".join(section(study))) for study in studies)]
    parts += ["\n\n".join(together(studies)), *asides(), "\n\n".join(cost(studies))]
    return "\n\n".join(parts) + "\n"


def section(study: Odyssey) -> Iterator[str]:
    """Write the part of one data set."""
    ranking = study.ranking
    cases, units = len({row.case for row in study.rows}), len(ranking.standings[0].cell.cases)
    of_groups = f" of {units} patients or groups" if units < cases else ""
    yield f"## {study.dataset}"
    low, high = ranking.seeds
    trainings = f"{span(low, high)} training{'s' * (high != 1)}"
    yield (
        f"{len(ranking.losses)} losses, {trainings} each of {study.steps:,} steps, scored on "
        f"{cases} cases{of_groups}. {' '.join(f'{note[0].upper()}{note[1:]}.' for note in study.notes)}"
    ).strip()
    if study.sheet:
        yield study.sheet.in_words
    yield leaderboard(study)
    yield "\n".join(f"- {said}" for said in findings(study))


def leaderboard(study: Odyssey) -> str:
    """Write the table of one data set, best loss first."""
    ranking, overall = study.ranking, study.ranking.overall
    low, high = rank_interval(overall.judged)
    metrics = [(s, own) for s, own in zip(ranking.standings, study.intervals, strict=True)]
    head = ["#", "loss", *(s.cell.metric for s, _ in metrics), "ranks, trained again", "ranks, these networks"]
    head += ["may be the best", "learning rate", "s a run"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for place, i in enumerate(overall.order, 1):
        loss = ranking.losses[i]
        means = [f"{own.mean[i]:.3f} ({own.low[i]:.3f} to {own.high[i]:.3f})" for _, own in metrics]
        cells = [str(place), loss, *means, f"{low[i]} to {high[i]}", f"{overall.rank_low[i]} to {overall.rank_high[i]}"]
        cells += ["yes" if overall.best_set[i] else "no", study.rate(loss), seconds(study, loss)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds(study: Odyssey, loss: str) -> str:
    """Return the mean time of a training of a loss; more work on the machine makes it longer."""
    own = [run.seconds for run in study.trainings if run.loss == loss and run.status == "finished"]
    return f"{np.mean(own):.0f}" if own else "-"


def findings(study: Odyssey) -> Iterator[str]:
    """Say what the table of one data set shows, and what it does not."""
    ranking = study.ranking
    yield f"With 95 % confidence the best loss is {among(ranking)}."
    low, high = rank_interval(ranking.overall.judged)
    unknown = [loss for loss, i, j in zip(ranking.losses, low, high, strict=True) if (i, j) == (1, len(low))]
    if unknown and len(unknown) < len(low):
        yield f"The trainings of {listed(unknown)} differ so much that new ones might take any rank: more would tell."
    groups = indistinguishable(ranking.overall)
    if len(groups) > 1:
        yield f"They fall into {len(groups)} groups within which nothing is shown; the last: {listed(groups[-1])}."
    yield from caveats(ranking, study.rows)
    failed = sorted({f"{run.loss} (seed {run.seed})" for run in study.trainings if run.status != "finished"})
    yield f"Runs that failed or diverged: {listed(failed)}." if failed else "No training failed or diverged."
    yield from about_rates(study)
    yield from about_budget(study)
    yield about_published([study])


def about_rates(study: Odyssey) -> Iterator[str]:
    """Say what the learning rate decides."""
    edges = [
        f"{s.loss} ({s.chosen:g}, by {round(s.lead, 4) + 0.0:.4f} over the next)" for s in study.searches if s.edge
    ]
    if edges:
        yield f"The chosen rate lies at the edge of those tried, so that a better one may lie beyond: {listed(edges)}."
    blind = [search.loss for search in study.searches if np.isnan([*search.scores.values()]).all()]
    if blind:
        yield f"No rate gave a validation score, and the lowest one was taken, for {listed(blind)}."
    if study.searches and not edges and not blind:
        yield "The chosen rate of every loss lies inside the grid."
    grids = {tuple(search.scores) for search in study.searches}
    common = max(grids, key=lambda grid: sum(tuple(s.scores) == grid for s in study.searches), default=())
    known = [search for search in study.searches if tuple(search.scores) == common]
    if len(known) > 2 and len(common) > 1:
        table = np.nan_to_num(np.array([[*search.scores.values()] for search in known]), nan=0.0)
        best = {rate: known[int(np.argmax(column))].loss for rate, column in zip(common, table.T, strict=True)}
        taus = [tau_b(table.T[list(pair)])[0, 1] for pair in combinations(range(len(common)), 2)]
        leads = ", ".join(f"{loss} ({rate:g})" for rate, loss in best.items())
        yield (
            f"On the validation cases the best loss at one rate is {leads}; "
            f"Kendall's tau between the orders at two rates is {min(taus):.2f} to {max(taus):.2f}."
        )


def about_budget(study: Odyssey) -> Iterator[str]:
    """Say whether the trainings were long enough, and whether a shorter one tells the same order."""
    still = rising(study.trainings)
    known = scores(study.trainings)
    gains = [own[max(own)] - own[sorted(own)[-2]] for own in known.values() if len(own) > 1]
    if gains:
        rises = f"it still rises for {listed(sorted(still))}" if still else "it rises for no loss by more than noise"
        grew = f"the validation score of the median loss grew by {np.median(gains):.4f}"
        yield f"In the last quarter of the training {grew}; {rises}."
    for steps, rows in study.shorter.items():
        own = rank([row for row in rows if row.loss in study.ranking.losses])
        if set(own.losses) == set(study.ranking.losses):
            before = [float(own.overall.score[own.losses.index(loss)]) for loss in study.ranking.losses]
            if told := order(study.ranking.losses, before, [*study.ranking.overall.score]):
                yield f"A training of {steps:,} steps {told.told()}."


def published_name(loss: str) -> str:
    """Return the paper's name of a loss of the plan."""
    if loss.startswith("TopK "):
        return f"{loss} %"
    return OWN_NAMES.get(loss, loss.removesuffix(" batch"))


def about_published(studies: Sequence[Odyssey]) -> str:
    """Say how far our order agrees with the published one, over the losses that both have."""
    ranking = studies[0].ranking if len(studies) == 1 else rank([row for study in studies for row in study.rows])
    resampled = bootstrap(ranking, DRAWS)
    theirs = paper.mean_ranks(ranked())
    shared = [i for i, loss in enumerate(ranking.losses) if published_name(loss) in theirs]
    if len(shared) < 3:
        return "Too few of the published losses to compare the order with the published one."
    place = -np.array([theirs[published_name(ranking.losses[i])] for i in shared])
    own = tau_b(np.stack([place, ranking.overall.score[shared]]))[0, 1]
    drawn = tau_b(np.vstack([place, -resampled.overall[:, shared]]))[0, 1:]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return (
        f"Kendall's tau to the published order of the {len(shared)} losses that both have is {own:.2f} "
        f"(95 % from {low:.2f} to {high:.2f} with cases drawn and losses trained again)."
    )


def together(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Write the part over all data sets: the overall order, and whether one half of the seeds contradicts the other."""
    yield "## All data sets together"
    if len(studies) > 1:
        ranking = rank([row for study in studies for row in study.rows])
        order = [ranking.losses[i] for i in ranking.overall.order]
        over = f"Over {len(ranking.tasks)} data sets, each with the same weight"
        some = dict.fromkeys(loss for study in studies for loss in study.ranking.losses if loss not in order)
        left_out = f" Losses that not all of them have are left out: {listed([*some])}." if some else ""
        yield (
            f"{over}, the order is {', '.join(order)}.{left_out} "
            f"With 95 % confidence the best loss is {among(ranking)}. {about_published(studies)}"
        )
    made, denied = halves(studies)
    share = f" ({denied / made:.1%})" if made else ""
    yield (
        f"Statements about retrained losses, made from one half of the seeds and held against the other half: {made}, "
        f"of which the other half states the opposite {denied} times{share}. A half of one seed makes no statement."
    )


def halves(studies: Sequence[Odyssey]) -> tuple[int, int]:
    """Count the statements of each half of the seeds, and those of which the other half states the opposite."""
    made = denied = 0
    for study in studies:
        seeds = sorted({row.seed for row in study.rows})
        for half in {frozenset(half) for half in combinations(seeds, (len(seeds) + 1) // 2)}:
            rest = frozenset(seeds) - half
            if min(len(half), len(rest)) > 1:
                one, other = (
                    rank([row for row in study.rows if row.seed in part]).overall.judged for part in (half, rest)
                )
                made, denied = made + int(one.sum()), denied + int((one & other.T).sum())
    return made, denied


def cost(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Write what it took."""
    yield "## What it took"
    head = "| data set | runs | hours, searches | hours, trainings | machine | versions |\n|---|---|---|---|---|---|"
    lines = []
    for study in studies:
        searched, trained = (
            sum(run.seconds for run in study.runs if (run.purpose == "search") == which) / 3600
            for which in (True, False)
        )
        versions = ", ".join(f"{name} {value}" for name, value in sorted(study.runs[0].versions.items()))
        devices = ", ".join(sorted({run.device for run in study.runs if run.device}))
        lines.append(
            f"| {study.dataset} | {len(study.runs)} | {searched:.1f} | {trained:.1f} | {devices} | {versions} |"
        )
    yield "\n".join([head, *lines])
    yield (
        "Hours are those of one thread; two runs shared a machine of two cores that did other work beside them, so the "
        "times of single losses compare roughly."
    )
    for study in studies[:1]:
        if study.sheet:
            yield from needed(len(study.ranking.losses), study.trainings, study.sheet)


def measured(studies: Sequence[Odyssey]) -> str:
    """Return the table of effects: each loss against the reference, per data set and metric, with its interval."""
    return as_csv(effect for study in studies for effect in study.effects())


def keep(study: Path, name: str) -> None:
    """Keep the records of a comparison in the repository: the archive, and what a reader looks at first as text."""
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    runs = pack(study, folder / "study.tar.xz")
    for plain in ("plan.yaml", TUNING):
        if (study / plain).is_file():
            (folder / plain).write_bytes((study / plain).read_bytes())
    print(f"{folder}: {runs} runs, {(folder / 'study.tar.xz').stat().st_size / 1e6:.2g} MB")


def kept() -> list[Odyssey]:
    """Read the records of all data sets of which enough is trained to compare two losses."""
    found = []
    for archive in sorted(RESULTS.glob("*/study.tar.xz")):
        try:
            found.append(read(archive))
        except ValueError as error:
            print(f"{archive.parent.name}: left out, {error}", file=sys.stderr)
    return found


def generated() -> dict[Path, str]:
    """Return every file that follows from the records, with its text."""
    studies = kept()
    return {PAGE: page(studies), MEASURED: measured(studies)} if studies else {}


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", nargs=2, metavar=("STUDY", "NAME"))
    parser.add_argument("--report", metavar="PAGE")
    options = parser.parse_args(arguments)
    if options.keep:
        keep(Path(options.keep[0]), options.keep[1])
        return
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
        print(path)
    if options.report:
        studies = kept()
        runs = [run for study in studies for run in study.trainings]
        evidence = Evidence([search for study in studies for search in study.searches])
        rows = [row for study in studies for row in study.rows]
        papers = references(dict.fromkeys(row.loss for row in rows), runs)
        write(rows, options.report, runs=runs, evidence=evidence, references=papers)
        print(options.report)


if __name__ == "__main__":
    main(sys.argv[1:])
