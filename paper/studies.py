"""Read the records of a data set of the odyssey: its table, the shorter trainings, every run and every search."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lossodyssey.bench.packing import unpacked
from lossodyssey.bench.partial import read_partial, shorter_lengths
from lossodyssey.bench.plan import Plan
from lossodyssey.bench.plan_file import read_plan
from lossodyssey.fingerprint.record import Fingerprint, parse
from lossodyssey.guide.measured import Effect, effects_of
from lossodyssey.guide.nearest import Facts
from lossodyssey.ranking.means import Means, mean_intervals
from lossodyssey.ranking.rank import Ranking, rank
from lossodyssey.report.evidence import TUNING, Evidence, Search, read_searches
from lossodyssey.report.runs import RunSummary, read_runs
from lossodyssey.table import Row

sys.path.insert(0, str(Path(__file__).parent))
from kept_tables import PLAN

REFERENCE = "DiceCE batch"
DRAWS = 500


@dataclass(frozen=True)
class Odyssey:
    """The records of one data set: the table at the full budget, those of shorter ones, every run, every search."""

    rows: Sequence[Row]
    shorter: dict[int, Sequence[Row]]
    runs: Sequence[RunSummary]
    searches: Sequence[Search]
    notes: Sequence[str]
    sheet: Fingerprint | None = None
    plan: Plan | None = None

    @cached_property
    def ranking(self) -> Ranking:
        return rank(self.rows)

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

    @property
    def staged(self) -> set[str]:
        """The losses that begin with a network that another loss trained, for as many steps."""
        return {loss.name for loss in self.plan.losses if len(loss.stages) > 1} if self.plan else set()

    def effects(self) -> Iterator[Effect]:
        """Yield what every loss is better or worse by than the reference."""
        expressions = {run.loss: run.expression for run in self.trainings}
        facts = Facts.of(self.sheet) if self.sheet else Facts()
        return effects_of(self.ranking, REFERENCE, expressions, self.steps, facts)

    def rate(self, loss: str) -> str:
        """The learning rate of a loss, marked where it lies at the edge of those tried."""
        found = [search for search in self.searches if search.loss == loss]
        return " ".join(f"{search.chosen:g}{'!' if search.edge else ''}" for search in found) or "-"

    def seconds(self, loss: str) -> str:
        """The median time of a training of a loss; a machine that did other work made single ones longer."""
        own = [run.seconds for run in self.trainings if run.loss == loss and run.status == "finished"]
        return f"{np.median(own):.0f}" if own else "-"

    def heading(self, metric: str) -> str:
        """The name of a metric as the head of a column: NSD with its tolerance, in the unit of the data."""
        planned = next((each for each in self.plan.metrics if each.startswith(f"{metric}@")), "") if self.plan else ""
        return f"{metric} ({planned.partition('@')[2]} {self.sheet.unit})" if planned and self.sheet else metric


def read(archive: Path) -> Odyssey:
    """Read the records of one data set."""
    with unpacked(archive) as folder:
        found = read_partial(folder)
        shorter = {length: read_partial(folder, length).rows for length in shorter_lengths(folder)}
        searches = read_searches(folder / TUNING)
        sheet, plan = read_sheet(folder), read_plan(folder / PLAN)
        return Odyssey(found.rows, dict(shorter), read_runs(folder), searches, found.rows.notes, sheet, plan)


def read_sheet(folder: Path) -> Fingerprint | None:
    """Read the fingerprint of the data set of a comparison; None where it has none."""
    for file in folder.glob("fingerprint-*.json"):
        return parse(file.read_text(encoding="utf-8"), file)
    return None
