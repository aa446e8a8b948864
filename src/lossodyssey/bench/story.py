"""From a finished comparison to its page: the ranking explained, and pictures of telling cases."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lossodyssey.bench.job import Job
from lossodyssey.bench.pictures import Prediction, draw, draw_together
from lossodyssey.bench.record import Record, read_record
from lossodyssey.report import Gallery, Overlay, RunSummary, choose, choose_failures, choose_for_all, read_runs, write
from lossodyssey.report.overlays import Choice
from lossodyssey.report.render import number
from lossodyssey.table import Row, read_rows

MOST_LOSSES = 40
MOST_FAILURES = 48


def tell(jobs: Sequence[Job], command: str = "") -> Path:
    """Write `report.html` of a swept comparison beside its `cases.csv`; `command` is shown as what made it."""
    output = jobs[0].runs.parent
    rows = read_rows(output / "cases.csv")
    path = output / "report.html"
    shown = _first_runs(jobs)
    write(rows, path, runs=_summaries(jobs), galleries=_galleries(rows, shown), command=command)
    return path


def _summaries(jobs: Sequence[Job]) -> list[RunSummary]:
    """Runs of this comparison alone: the folder may hold others, of other settings."""
    own = [_key(read_record(job.folder)) for job in jobs]
    return [run for run in read_runs(jobs[0].runs) if (run.loss, run.seed, run.settings) in own]


def _key(record: Record) -> tuple[str, int, object]:
    return record.expression, record.seed, json.loads(json.dumps(record.settings))


def _first_runs(jobs: Sequence[Job]) -> dict[str, Job]:
    """The first run of each loss that left predictions, by the loss's name in the table."""
    first: dict[str, Job] = {}
    for job in jobs:
        table = job.folder / "cases.csv"
        if table.is_file() and any((job.folder / "predictions").glob("*.*")):
            first.setdefault(read_rows(table)[0].loss, job)
    return first


def _galleries(rows: Sequence[Row], shown: Mapping[str, Job]) -> list[Gallery]:
    """Show one case under every loss, the leader's cases, and, folded away, the failures of each loss."""
    galleries = [_together(rows, shown), _leader(rows, shown), _failures(rows, shown)]
    return [gallery for gallery in galleries if gallery.pictures]


def _together(rows: Sequence[Row], shown: Mapping[str, Job]) -> Gallery:
    """Draw the case on which the losses differ most, first the truth and then every loss's prediction."""
    choices = choose_for_all(rows)
    found = [(choice, _prediction(shown, choice)) for choice in choices]
    drawn = [(choice, prediction) for choice, prediction in found if prediction][:MOST_LOSSES]
    absent = [choice.loss for choice, prediction in found if not prediction]
    beyond = [choice.loss for choice, prediction in found if prediction][MOST_LOSSES:]
    notes = [f"No prediction of this case: {'; '.join(absent)}."] if absent else []
    notes += [f"Left out beyond the best {MOST_LOSSES}: {'; '.join(beyond)}."] if beyond else []
    titles = [f"{choice.loss} {_value(rows, choice, shown[choice.loss].seed)}" for choice, _ in drawn]
    pictures = draw_together([prediction for _, prediction in drawn], titles) if drawn else []
    return Gallery(f"One case under every loss: {choices[0].case}", pictures, " ".join([_why(choices[0]), *notes]))


def _leader(rows: Sequence[Row], shown: Mapping[str, Job]) -> Gallery:
    choices = [choice for choice in choose(rows) if "disagreement" not in choice.why]
    return Gallery("The leader's best, median and worst case", _each(rows, shown, choices))


def _failures(rows: Sequence[Row], shown: Mapping[str, Job]) -> Gallery:
    choices = choose_failures(rows)
    pictures = _each(rows, shown, choices[:MOST_FAILURES])
    left_out = len(choices) - MOST_FAILURES
    note = "The slice with the most wrong pixels of the worst case of each loss, and of cases with a missed object."
    if left_out > 0:
        note += f" {left_out} more are not shown (at most {MOST_FAILURES} are)."
    return Gallery("Where each loss fails", pictures, note, folded=True)


def _each(rows: Sequence[Row], shown: Mapping[str, Job], choices: Sequence[Choice]) -> list[Overlay]:
    found = [(choice, _prediction(shown, choice)) for choice in choices]
    return [
        draw(prediction, f"{choice.why}: {choice.case}, {choice.loss} {_value(rows, choice, shown[choice.loss].seed)}")
        for choice, prediction in found
        if prediction
    ]


def _why(choice: Choice) -> str:
    return f"This is {choice.why}, cut where most pixels are wrong under some loss, of the slices that show the object."


def _prediction(shown: Mapping[str, Job], choice: Choice) -> Prediction | None:
    """Find what the first run of the loss predicted for the case; None where there is nothing."""
    job = shown.get(choice.loss)
    if job is None:
        return None
    case = next((case for case in job.dataset.cases if case.name == choice.case), None)
    files = sorted((job.folder / "predictions").glob(f"{choice.case}.*"))
    return Prediction(job.dataset, case, files[0]) if case and files else None


def _value(rows: Sequence[Row], choice: Choice, seed: int) -> str:
    """Write the case's value in the run that is shown, averaged over the classes, under the table's first metric."""
    own = [row for row in rows if (row.loss, row.dataset, row.case) == (choice.loss, choice.task, choice.case)]
    own = [row for row in own if row.seed == seed and row.metric == own[0].metric]
    known = [row.value for row in own if math.isfinite(row.value)]
    return f"({own[0].metric} {number(float(np.mean(known)))})" if known else ""
