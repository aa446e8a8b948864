"""Write the page of our own odyssey from the records in `paper/results`, and the table that the losses' pages quote.

python paper/odyssey.py            writes docs/odyssey.md and src/lossodyssey/guide/measured.csv
python paper/odyssey.py --keep STUDY NAME    keeps the records of a comparison under paper/results/NAME
python paper/odyssey.py --report odyssey.html    writes the same as one page of figures, too
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from lossodyssey.bench.packing import pack
from lossodyssey.fingerprint.words import in_words
from lossodyssey.guide.cite import references
from lossodyssey.guide.measured import as_csv
from lossodyssey.ranking.caveats import listed, span
from lossodyssey.ranking.rank import Ranking, rank, rank_interval
from lossodyssey.report import write
from lossodyssey.report.evidence import TUNING, Evidence

sys.path.insert(0, str(Path(__file__).parent))
from asides import asides
from findings import about_published, findings
from kept_tables import among
from needed import needed, weights
from studies import Odyssey, read

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "paper" / "results"
PAGE = ROOT / "docs" / "odyssey.md"
STATEMENTS = ("may be the best", "ranks, trained again")
HALVED = 3
"""More seeds than this have two halves of which each can state something."""
MEASURED = ROOT / "src" / "lossodyssey" / "guide" / "measured.csv"


def page(studies: Sequence[Odyssey]) -> str:
    """Write the whole page."""
    text = (ROOT / "paper" / "odyssey_head.md").read_text(encoding="utf-8")
    parts = [text.strip(), *protocol(studies)]
    parts += ["\n\n".join(section(study)) for study in studies]
    parts += [*together(studies), *asides(), *legend(studies), *cost(studies)]
    return "\n\n".join(parts) + "\n"


def protocol(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Write how the networks were trained, and on how many cases."""
    features, optimizer, schedule, batch = (
        listed(list(dict.fromkeys(str(run.settings[name]) for study in studies for run in study.trainings)))
        for name in ("features", "optimizer", "schedule", "batch")
    )
    yield "## How the networks were trained"
    yield (
        f"A U-Net with {features.strip('[]')} channels, batches of {batch} patches, `{optimizer}` and the `{schedule}` "
        "learning rate; the network of the last step is scored. [The benchmark](benchmark.md#how-a-network-is-trained) "
        "says the rest. One training of each loss per rate, of the steps in the table, gave the rate: the one with the "
        "best mean DSC on the validation cases, and of those within 0.002 of it the smallest. DSC and NSD are as in "
        "[Correctness](correctness.md)."
    )
    lines = ["| data set | cases trained, validated, scored | patch | weights | steps | steps of a search |"]
    lines.append("|" + "---|" * 6)
    for study in studies:
        run, scored = study.trainings[0], len({row.case for row in study.rows})
        validated = max((search.cases for search in study.searches), default=0)
        searched = max((search.steps for search in study.searches), default=0)
        trained = study.sheet.cases - scored - validated if study.sheet else "?"
        patch = " x ".join(map(str, run.settings["patch"]))
        size = f"{weights(run, study.sheet):,}" if study.sheet else "?"
        counts = f"{trained}, {validated}, {scored}"
        lines.append(f"| {study.dataset} | {counts} | {patch} | {size} | {study.steps:,} | {searched:,} |")
    yield "\n".join(lines)


def section(study: Odyssey) -> Iterator[str]:
    """Write the part of one data set."""
    ranking = study.ranking
    cases, units = len({row.case for row in study.rows}), len(ranking.standings[0].cell.cases)
    of_groups = f" of {units} patients or groups of like pictures" if units < cases else ""
    low, high = ranking.seeds
    # A study that is whole needs no word of it, and shorter trainings have a sentence of their own.
    notes = [note for note in study.notes if not re.match(r"(\d+) runs finished of \1 planned|runs of shorter", note)]
    yield f"## {study.dataset}"
    yield (
        f"{len(ranking.losses)} losses, {span(low, high)} training{'s' * (high != 1)} each of {study.steps:,} steps, "
        f"scored on {cases} cases{of_groups}. {' '.join(f'{note[0].upper()}{note[1:]}.' for note in notes)}"
    ).strip()
    if study.sheet:
        yield in_words(study.sheet)
    yield leaderboard(study)
    yield "\n".join(f"- {said}" for said in findings(study))


def leaderboard(study: Odyssey) -> str:
    """Write the table of one data set, best loss first."""
    ranking, overall = study.ranking, study.ranking.overall
    metrics = [(study.heading(s.cell.metric), own) for s, own in zip(ranking.standings, study.intervals, strict=True)]
    head = [
        "#",
        "loss",
        *(name for name, _ in metrics),
        *STATEMENTS,
        "ranks, these networks",
        "learning rate",
        "s a run",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for place, i in enumerate(overall.order, 1):
        loss = ranking.losses[i]
        means = [f"{own.mean[i]:.3f} ({own.low[i]:.3f} to {own.high[i]:.3f})" for _, own in metrics]
        cells = [str(place), loss, *means, *statements(ranking, i), f"{overall.rank_low[i]} to {overall.rank_high[i]}"]
        lines.append(f"| {' | '.join([*cells, study.rate(loss), study.seconds(loss)])} |")
    return "\n".join(lines)


def statements(ranking: Ranking, loss: int) -> list[str]:
    """Return whether a loss may be the best, and the ranks that are possible for it, trained again."""
    low, high = rank_interval(ranking.overall.judged)
    return ["yes" if ranking.overall.best_set[loss] else "no", f"{low[loss]} to {high[loss]}"]


def together(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Write the part over all data sets: the overall order, and whether one half of the seeds contradicts the other."""
    yield "## All data sets together"
    if len(studies) > 1:
        ranking = rank([row for study in studies for row in study.rows])
        some = dict.fromkeys(loss for study in studies for loss in study.ranking.losses if loss not in ranking.losses)
        left_out = f" Losses that not all of them have are left out: {listed([*some])}." if some else ""
        lengths = [study.steps for study in studies if study.runs] or [0]
        same = min(lengths) == max(lengths)
        steps = f" of {'' if same else f'{min(lengths):,} to '}{max(lengths):,} steps" if max(lengths) else ""
        staged = (
            listed(sorted(set.union(*(study.staged for study in studies)))) if any(s.staged for s in studies) else ""
        )
        twice = f" {staged} had twice the steps of the others." if staged else ""
        yield (
            f"The {len(ranking.tasks)} data sets have the same weight, with trainings{steps}.{twice}{left_out} "
            f"With 95 % confidence the best loss is {among(ranking)}. {about_published(studies)}"
        )
        lines = [f"| # | loss | {' | '.join(STATEMENTS)} |", "|---|---|---|---|"]
        for place, i in enumerate(ranking.overall.order, 1):
            lines.append(f"| {' | '.join([str(place), ranking.losses[i], *statements(ranking, i)])} |")
        yield "\n".join(lines)
    yield from about_halves(studies)


def about_halves(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Hold what one part of the seeds states against the other part."""
    enough = [study for study in studies if len({row.seed for row in study.rows}) > HALVED]
    if not enough:
        yield f"No data set has the {HALVED + 1} trainings of a loss that it takes to hold one half against the other."
        return
    made, confirmed, denied = halves(enough)
    names = listed([study.dataset for study in enough])
    yield (
        f"Do other trainings say the same? On {names} the seeds are parted into two halves in every way. Of {made:,} "
        f"statements on losses trained again that one half makes, the other makes {confirmed:,}, too, and contradicts "
        f"{denied:,} ({denied / max(made, 1):.1%}); of the rest it says nothing. The cases are the same."
    )


def halves(studies: Sequence[Odyssey]) -> tuple[int, int, int]:
    """Count the statements of each half of the seeds, those of them that the other half makes, and those it denies."""
    made = confirmed = denied = 0
    for study in studies:
        seeds = sorted({row.seed for row in study.rows})
        for half in {frozenset(half) for half in combinations(seeds, (len(seeds) + 1) // 2)}:
            parts = (half, frozenset(seeds) - half)
            one, other = (rank([row for row in study.rows if row.seed in part]).overall.judged for part in parts)
            made, confirmed = made + int(one.sum()), confirmed + int((one & other).sum())
            denied += int((one & other.T).sum())
    return made, confirmed, denied


def legend(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Write what the names in the tables stand for, with the pages of the losses."""
    yield "## The losses"
    lines = ["| name | loss |", "|---|---|"]
    planned = {loss.name: loss.stages for study in studies if study.plan for loss in study.plan.losses}
    for name in sorted(planned, key=str.casefold):
        lines.append(f"| {name} | {', then '.join(map(linked, planned[name]))} |")
    yield "\n".join(lines)


def linked(expression: str) -> str:
    """Write the text of a loss, with links to the pages of the losses in it."""
    pages = dict.fromkeys(re.findall(r"\b([A-Z]\w+)\(", expression))
    return f"`{expression}` ({', '.join(f'[{name}](losses/{name}.md)' for name in pages)})"


def cost(studies: Sequence[Odyssey]) -> Iterator[str]:
    """Write what it took."""
    yield "## What it took"
    lines = ["| data set | runs | hours, searches | hours, trainings | machine |", "|" + "---|" * 5]
    for study in studies:
        searched, trained = (
            sum(run.seconds for run in study.runs if (run.purpose == "search") == which) / 3600
            for which in (True, False)
        )
        devices = ", ".join(sorted({run.device for run in study.runs if run.device}))
        lines.append(f"| {study.dataset} | {len(study.runs)} | {searched:.1f} | {trained:.1f} | {devices} |")
    yield "\n".join(lines)
    every = {f"{name} {value}" for study in studies for run in study.runs for name, value in run.versions.items()}
    yield (
        "Hours are those of one thread; two runs shared a machine of two cores that did other work beside them. So the "
        f"times of single losses, medians over their trainings, compare roughly. Versions: {', '.join(sorted(every))}."
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
    """Read the records of all data sets of which every loss is trained."""
    found = []
    for archive in sorted(RESULTS.glob("*/study.tar.xz")):
        try:
            study = read(archive)
        except ValueError as error:
            print(f"{archive.parent.name}: left out, {error}", file=sys.stderr)
            continue
        planned = [loss.name for loss in study.plan.losses] if study.plan else []
        if missing := [name for name in planned if name not in study.ranking.losses]:
            print(f"{archive.parent.name}: left out, not trained yet: {listed(missing)}", file=sys.stderr)
        else:
            found.append(study)
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
