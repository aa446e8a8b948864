"""`tuning.csv`: every learning rate that was tried, its score on validation cases, and whether it was chosen."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from lossodyssey.atomic import writing
from lossodyssey.bench.study import Study

COLUMNS = ("dataset", "fold", "loss", "learning_rate", "score", "chosen", "steps", "cases")


def write_tuning(study: Study, path: Path) -> None:
    """Write the searches that have ended; a study without searches leaves no such file.

    `steps` is the length of the runs that were searched with, `cases` the number of validation cases behind a score.
    """
    lines = list(_lines(study))
    if not lines:
        path.unlink(missing_ok=True)  # that of an earlier plan in this folder
        return
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)


def _lines(study: Study) -> Iterator[tuple[object, ...]]:
    labels = {entry.stages: entry.label for entries in study.levels for entry in entries}
    cases = {(task.name, part.fold): len(part.validation) for task in study.tasks for part in task.divisions}
    for (dataset, fold, stages), choice in study.choices().items():
        for rate, score in choice.scores.items():
            known = "" if math.isnan(score) else score
            chosen = "yes" if rate == choice.rate else "no"
            size = cases[dataset, fold]
            yield dataset, fold, labels[stages], rate, known, chosen, study.search_steps, size
