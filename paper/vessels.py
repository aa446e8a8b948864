"""Write what losses of centre lines did on vessels into `docs/structure_losses.md`, from the records kept here.

python paper/vessels.py            writes the rows between the marks of the page, and the effects that `advise` quotes
python paper/vessels.py --keep STUDY    keeps the records of a comparison in paper/vessels
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lossodyssey.atomic import write_text
from lossodyssey.bench.packing import unpacked
from lossodyssey.bench.partial import read_partial
from lossodyssey.fingerprint.record import parse
from lossodyssey.guide.measured import as_csv, effects_of
from lossodyssey.guide.nearest import Facts
from lossodyssey.ranking.rank import rank
from lossodyssey.report.runs import read_runs

sys.path.insert(0, str(Path(__file__).parent))
from kept_tables import ARCHIVE, keep, rewritten, tables

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "paper" / "vessels"
PAGE = ROOT / "docs" / "structure_losses.md"
MEASURED = ROOT / "src" / "lossodyssey" / "guide" / "measured_vessels.csv"
REFERENCE = "Dice CE"


def text() -> str:
    """Return the page with the tables of the records between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    return rewritten(page, "vessels", list(tables([RECORDS], reference=REFERENCE)))


def measured() -> str:
    """Return the table of effects: each loss against the reference, per data set and metric, with its interval."""
    with unpacked(RECORDS / ARCHIVE) as folder:
        rows, runs = read_partial(folder).rows, read_runs(folder)
        sheets = [parse(file.read_text(encoding="utf-8"), file) for file in sorted(folder.glob("fingerprint-*.json"))]
    expressions = {run.loss: run.expression for run in runs}
    steps = max(run.settings["steps"] for run in runs)
    rankings = {sheet.dataset: rank([row for row in rows if row.dataset == sheet.dataset]) for sheet in sheets}
    return as_csv(
        effect
        for sheet in sheets
        for effect in effects_of(rankings[sheet.dataset], REFERENCE, expressions, steps, Facts.of(sheet))
    )


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="STUDY", type=Path)
    options = parser.parse_args(arguments)
    if options.keep:
        keep(options.keep, RECORDS)
    for path, content in {PAGE: text(), MEASURED: measured()}.items():
        write_text(path, content)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
