"""Write what losses of centre lines did on vessels into `docs/structure_losses.md`, from the records kept here.

python paper/vessels.py            writes the rows between the marks of the page, and the effects that `advise` quotes
python paper/vessels.py --keep STUDY    keeps the records of a comparison in paper/vessels
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lossodyssey.atomic import write_text
from lossodyssey.bench.packing import pack, unpacked
from lossodyssey.bench.partial import read_partial
from lossodyssey.fingerprint.record import parse
from lossodyssey.guide.measured import as_csv, effects_of
from lossodyssey.guide.nearest import Facts
from lossodyssey.ranking.means import mean_intervals
from lossodyssey.ranking.rank import Ranking, rank
from lossodyssey.report.evidence import TUNING, Search, read_searches
from lossodyssey.report.runs import read_runs

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "paper" / "vessels"
ARCHIVE = RECORDS / "study.tar.xz"
PAGE = ROOT / "docs" / "structure_losses.md"
MEASURED = ROOT / "src" / "lossodyssey" / "guide" / "measured_vessels.csv"
START, END = "<!-- vessels: start -->", "<!-- vessels: end -->"
REFERENCE = "Dice CE"
DRAWS = 500


def text() -> str:
    """Return the page with the tables of the records between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    return f"{before}{START}\n\n" + "\n\n".join(tables()) + f"\n\n{END}{rest.partition(END)[2]}"


def tables() -> Iterator[str]:
    """Write a table for each data set of the records."""
    with unpacked(ARCHIVE) as folder:
        rows, searches = read_partial(folder).rows, read_searches(folder / TUNING)
        for name in dict.fromkeys(row.dataset for row in rows):
            own = [row for row in rows if row.dataset == name]
            images = len({row.case for row in own})
            yield table(name, images, rank(own), [search for search in searches if search.dataset == name])


def table(name: str, images: int, ranking: Ranking, searches: Sequence[Search]) -> str:
    """Write the table of one data set: means, and where a loss differs from the reference when trained again."""
    cells = [(s.cell, s.pairs, own) for s, own in zip(ranking.standings, mean_intervals(ranking, DRAWS), strict=True)]
    units, seeds = len(cells[0][0].cases), min(cells[0][0].seeds)
    # Images of one patient are one unit of the ranking.
    held_out = f"{images} held-out images" + (f" of {units} patients" if units < images else "")
    lines = [f"{name}: {held_out}, {seeds} trainings of each loss.", ""]
    head = ["loss", *(f"{cell.metric} {'↑' if cell.measure.sign > 0 else '↓'}" for cell, *_ in cells), "rate"]
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    reference = ranking.losses.index(REFERENCE)
    for i, loss in enumerate(ranking.losses):
        parts = []
        for _, pairs, own in cells:
            low, high = pairs.limits()
            mark = "better" if low[i, reference] > 0 else "worse" if high[i, reference] < 0 else ""
            digits = 1 if np.nanmax(own.mean) > 2 else 3
            interval = f"{own.mean[i]:.{digits}f} ({own.low[i]:.{digits}f} to {own.high[i]:.{digits}f})"
            parts.append(f"{interval} {mark}".strip() if i != reference else interval)
        rate = " ".join(f"{s.chosen:g}{'!' if s.edge else ''}" for s in searches if s.loss == loss)
        lines.append(f"| {loss} | {' | '.join(parts)} | {rate} |")
    return "\n".join(lines)


def measured() -> str:
    """Return the table of effects: each loss against the reference, per data set and metric, with its interval."""
    with unpacked(ARCHIVE) as folder:
        rows, runs = read_partial(folder).rows, read_runs(folder)
        sheets = [parse(file.read_text(encoding="utf-8"), file) for file in sorted(folder.glob("fingerprint-*.json"))]
    expressions = {run.loss: run.expression for run in runs}
    rankings = {sheet.dataset: rank([row for row in rows if row.dataset == sheet.dataset]) for sheet in sheets}
    return as_csv(
        effect
        for sheet in sheets
        for effect in effects_of(rankings[sheet.dataset], REFERENCE, expressions, Facts.of(sheet))
    )


def keep(study: Path) -> None:
    """Keep the records of a comparison, and its plan as text."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    runs = pack(study, ARCHIVE)
    (RECORDS / "plan.yaml").write_bytes((study / "plan.yaml").read_bytes())
    print(f"{ARCHIVE}: {runs} runs, {ARCHIVE.stat().st_size / 1e6:.2g} MB")


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="STUDY")
    options = parser.parse_args(arguments)
    if options.keep:
        keep(Path(options.keep))
    for path, content in {PAGE: text(), MEASURED: measured()}.items():
        write_text(path, content)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
