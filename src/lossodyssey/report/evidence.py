"""Files of a comparison that tell how far its trainings can be trusted, beside its table and its run folders."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossodyssey.report.data import DataSheet, read_sheets
from lossodyssey.report.runs import RunSummary
from lossodyssey.table import Row, read_rows

TUNING = "tuning.csv"


@dataclass(frozen=True)
class Search:
    """The learning rates that one loss was tried at, by their scores on validation cases; NaN where a run gave none."""

    dataset: str
    fold: int
    loss: str
    scores: Mapping[float, float]
    chosen: float
    steps: int = 0
    cases: int = 0

    @property
    def edge(self) -> str:
        """The edge of the grid at which the chosen rate lies, lowest or highest; empty inside it."""
        known = [rate for rate, score in self.scores.items() if not math.isnan(score)]
        if not known or self.chosen not in (min(self.scores), max(self.scores)):
            return ""
        return "lowest" if self.chosen == min(self.scores) else "highest"

    @property
    def lead(self) -> float:
        """The score of the chosen rate less the best one beside it; NaN where there is none."""
        rates = sorted(self.scores)
        place = rates.index(self.chosen)
        beside = [self.scores[rate] for rate in (*rates[max(place - 1, 0) : place], *rates[place + 1 : place + 2])]
        return self.scores[self.chosen] - max((each for each in beside if not math.isnan(each)), default=math.nan)


@dataclass(frozen=True)
class Evidence:
    """`searches` of learning rates, the tables of shorter trainings by their number of steps, and facts of the data."""

    searches: Sequence[Search] = ()
    budgets: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    data: Sequence[DataSheet] = ()

    def of_table(self, runs: Iterable[RunSummary]) -> list[RunSummary]:
        """Keep the runs that the table is made of: no searches, first stages or shorter budgets."""
        own = [run for run in runs if run.purpose == "table"]
        return [run for run in own if run.settings.get("steps") not in self.shorter(own)]

    def shorter(self, runs: Iterable[RunSummary]) -> dict[int, Sequence[Row]]:
        """Return the tables of budgets below the longest of the runs; an earlier plan may have left others."""
        lengths = [steps for run in runs if isinstance(steps := run.settings.get("steps"), int)]
        return {steps: rows for steps, rows in self.budgets.items() if steps < max(lengths, default=math.inf)}


def read_evidence(folder: str | Path) -> Evidence:
    """Read `tuning.csv`, tables such as `cases-500.csv` and fingerprints of data in the output folder of a comparison.

    Raises:
        ValueError: a file is there but cannot be read; the text names it.
    """
    folder = Path(folder)
    # Users point at the folder of runs as well.
    folder = folder.parent if folder.name == "runs" else folder
    tables = {int(found[1]): path for path in folder.glob("cases-*.csv") if (found := _budget(path))}
    shorter = {steps: read_rows(tables[steps]) for steps in sorted(tables)}
    return Evidence(read_searches(folder / TUNING), shorter, read_sheets(folder))


def _budget(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"cases-(\d+)\.csv", path.name)


def read_searches(path: Path) -> list[Search]:
    """Read `tuning.csv`; there are no searches where there is no such file.

    Raises:
        ValueError: it cannot be read.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file, strict=True))
        grouped: dict[tuple[str, int, str], list[dict[str, str]]] = {}
        for line in lines:
            grouped.setdefault((line["dataset"], int(line["fold"]), line["loss"]), []).append(line)
        return [_search(*key, own) for key, own in grouped.items()]
    except (KeyError, TypeError, ValueError, StopIteration, csv.Error) as error:
        raise ValueError(
            f"{path}: not a table of searched learning rates ({error!r}); the command that made it writes it again"
        ) from None


def _search(dataset: str, fold: int, loss: str, lines: Sequence[Mapping[str, str]]) -> Search:
    scores = {float(line["learning_rate"]): float(line["score"] or "nan") for line in lines}
    chosen = next(float(line["learning_rate"]) for line in lines if line["chosen"] == "yes")
    steps, cases = (int(lines[0].get(name) or 0) for name in ("steps", "cases"))
    return Search(dataset, fold, loss, dict(sorted(scores.items())), chosen, steps, cases)
