"""Train every boundary loss of the atlas for a few steps, in the compound it is used in, and write the table of them.

    python -m benchmarks.boundary_runs -o boundary_runs --data DATA

Plans one run per loss and data set, and one at a rate of almost 0, which is the network as it was initialised; trains
what is not finished yet, so that it goes on after a stop; and writes the rows between the last two marks in
`docs/boundary_losses.md`: whether a run ended without NaN, and whether its mean DSC is above the untrained network's.
Rows of losses that were not asked for stay as they are. The exit code is 1 where one did not.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import lossodyssey as lo
from lossodyssey.atomic import write_text
from lossodyssey.bench.record import Record, read_record
from lossodyssey.table.read import read_rows

PAGE = Path(__file__).resolve().parents[1] / "docs" / "boundary_losses.md"
START, END = "<!-- runs: start -->", "<!-- runs: end -->"
DATASETS = ("Task04_Hippocampus", "phantom")
UNTRAINED = "untrained"
LABEL = "run of "
"""It stands before the loss in the name of its run: a compound may not have the name of another loss."""
COMPOUNDS = {
    "ActiveBoundary": "DiceCE() + ActiveBoundary()",
    "Boundary": "DiceBoundary()",
    "ContourDice": "Dice() + 0.1 * ContourDice()",
    "GeneralizedSurface": "0.5 * DiceCE() + 0.5 * GeneralizedSurface()",
    "HausdorffConvolution": "Dice() + 0.001 * HausdorffConvolution()",
    "HausdorffDT": "Dice() + 0.01 * HausdorffDT()",
    "HausdorffErosion": "Dice() + HausdorffErosion()",
    "MumfordShah": "CrossEntropy() + 0.1 * MumfordShah()",
    "Perimeter": "Dice() + 0.01 * Perimeter()",
    "RegionWise": "Dice() + RegionWise()",
    "SignedDistanceRegression": "Dice() + 10 * SignedDistanceRegression(head=True)",
    "SurfaceDiceDilation": "VolumetricSDDL()",
}
"""The compounds that papers and presets use; see `compound` for all other losses."""


def main(arguments: list[str] | None = None) -> int:
    """Plan, train, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("boundary_runs"), help="folder of the runs")
    parser.add_argument("--data", type=Path, help="folder that holds the data sets")
    parser.add_argument("--dataset", nargs="+", default=list(DATASETS), help="names of data sets, or folders")
    parser.add_argument("--losses", nargs="+", default=boundary_losses(), help="names of boundary losses")
    parser.add_argument("--steps", type=int, default=200, help="length of each run")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose table is written")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    plan = given.output / "boundary.yaml"
    write_text(plan, plan_text(given.losses, given.dataset, given.steps))
    command = [sys.executable, "-m", "lossodyssey", "bench", str(plan), "-o", str(given.output / "study")]
    # A run that diverged ends the command with 1, and is a row of the table.
    subprocess.run([*command, *(["--data", str(given.data)] if given.data else [])], check=False)
    rows, sound = table(given.output / "study", given.losses, len(given.dataset))
    head = f"{given.steps} steps, one seed."
    write_between(given.page, f"{head}\n\n{together(given.page, head, rows)}")
    return int(not sound)


def boundary_losses() -> list[str]:
    """Return the names of the boundary losses of the atlas."""
    return sorted(card.name for card in lo.atlas() if card.category == "boundary" and not card.preset)


def compound(name: str) -> str:
    """Return the text in which a loss is trained: as `COMPOUNDS` say, alone where it can be, or a tenth beside Dice.

    Raises:
        ValueError: it is not a boundary loss of the atlas.
    """
    if name not in boundary_losses():
        raise ValueError(f"--losses has {name!r}, expected names among {', '.join(boundary_losses())}")
    return COMPOUNDS.get(name) or (f"{name}()" if lo.card(name).alone else f"Dice() + 0.1 * {name}()")


def plan_text(losses: Sequence[str], datasets: Sequence[str], steps: int) -> str:
    """Return the plan as YAML."""
    entries = [f'  - {{name: {LABEL}{name}, loss: "{compound(name)}"}}' for name in losses]
    return "\n".join(
        [
            "name: boundary",
            f"datasets: [{', '.join(datasets)}]",
            "losses:",
            *entries,
            f'  - {{name: {UNTRAINED}, loss: "Dice()", learning_rates: [1.0e-12]}}',
            "learning_rates: [1.0e-2]",
            "held_out: 8",
            "seeds: 1",
            f"steps: {steps}",
            "epoch: 20",
            "patch: [32, 32, 16]",
            "features: [8, 16, 32]",
            "metrics: [DSC]",
            "",
        ]
    )


def table(study: Path, losses: Sequence[str], datasets: int) -> tuple[str, bool]:
    """Return the table of the runs of a study, and whether every one of them did what it should.

    Raises:
        ValueError: a run is missing, so that the command has to be given again.
    """
    found = [read_record(path.parent) for path in sorted((study / "runs").glob("**/run.json"))]
    # The folder may hold runs of other losses, or of these ones in an earlier compound.
    wanted = {f"{LABEL}{name}": repr(lo.parse(compound(name))) for name in losses}
    records = [
        each for each in found if each.label == UNTRAINED or wanted.get(each.label) == repr(lo.parse(each.expression))
    ]
    expected = (len(losses) + 1) * datasets
    if len(records) != expected:
        raise ValueError(f"{study}: {len(records)} runs, expected {expected}: give the command again to go on")
    scores = mean_scores(study / "cases.csv")
    untrained = {record.dataset: scores.get((record.dataset, UNTRAINED), math.nan) for record in records}
    lines = ["| data set | loss | trained as | ended | DSC | untrained | above |", "|---|---|---|---|---|---|---|"]
    sound = True
    for record in sorted(records, key=lambda record: (record.dataset, record.label)):
        if record.label == UNTRAINED:
            continue
        score, least = scores.get((record.dataset, record.label), math.nan), untrained[record.dataset]
        above = record.status == "finished" and score > least
        sound &= above
        lines.append(line_of(record, score, least, above))
    return "\n".join(lines), sound


def together(page: Path, head: str, rows: str) -> str:
    """Return the new rows with those of the page, of trainings as long, that they do not replace; sorted.

    The first two cells of a row, data set and loss, say which it is.
    """
    title, line, *new = rows.split("\n")
    old = page.read_text(encoding="utf-8").partition(START)[2].partition(END)[0].strip().split("\n")
    kept = old[4:] if old[0] == head else []
    known = {tuple(row.split("|")[1:3]): row for row in [*kept, *new]}
    return "\n".join([title, line, *(known[key] for key in sorted(known))])


def line_of(record: Record, score: float, least: float, above: bool) -> str:
    """Return the row of one run."""
    end = "without NaN" if record.status == "finished" else f"{record.status}: {record.reason}"
    cells = [
        record.dataset,
        record.label.removeprefix(LABEL),
        f"`{record.expression}`",
        end,
        f"{score:.3f}",
        f"{least:.3f}",
    ]
    return f"| {' | '.join([*cells, 'yes' if above else 'no'])} |"


def mean_scores(path: Path) -> dict[tuple[str, str], float]:
    """Return the mean DSC by data set and loss; a class that is undefined in a case leaves the mean."""
    values = defaultdict(list)
    for row in read_rows(path):
        if row.metric == "DSC" and not math.isnan(row.value):
            values[row.dataset, row.loss].append(row.value)
    return {key: fmean(found) for key, found in values.items()}


def write_between(page: Path, text: str) -> None:
    """Write the text between the marks of a page.

    Raises:
        ValueError: the page has not each of the marks once.
    """
    old = page.read_text(encoding="utf-8")
    if old.count(START) != 1 or old.count(END) != 1:
        raise ValueError(f"{page}: expected the marks {START} and {END}, each once")
    write_text(page, f"{old.split(START)[0]}{START}\n{text}\n{END}{old.split(END)[1]}")


if __name__ == "__main__":
    sys.exit(main())
