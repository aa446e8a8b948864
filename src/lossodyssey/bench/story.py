"""From a finished comparison to its page: the ranking explained, and pictures of telling cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lossodyssey.bench.damage import PREDICTIONS, TABLE, prediction
from lossodyssey.bench.job import Job
from lossodyssey.bench.measures import decoded, decoding_of
from lossodyssey.bench.pictures import Prediction, draw, draw_together
from lossodyssey.guide.cite import references
from lossodyssey.report import Gallery, Overlay, RunSummary, choose, choose_failures, choose_for_all, write
from lossodyssey.report.evidence import read_evidence
from lossodyssey.report.overlays import Choice
from lossodyssey.report.render import number
from lossodyssey.report.runs import read_run
from lossodyssey.table import Row, read_rows

MOST_LOSSES = 40
MOST_FAILURES = 48


def tell(jobs: Sequence[Job], command: str = "") -> Path:
    """Write `report.html` of a swept comparison beside its `cases.csv`; `command` is shown as its origin."""
    output = jobs[0].runs.parent
    rows = read_rows(output / "cases.csv")
    path = output / "report.html"
    shown = _first_runs(jobs)
    runs, evidence, galleries = _summaries(jobs), read_evidence(output), _galleries(rows, shown)
    papers = references(dict.fromkeys(row.loss for row in rows), runs)
    write(rows, path, runs=runs, evidence=evidence, galleries=galleries, command=command, references=papers)
    return path


def _summaries(jobs: Sequence[Job]) -> list[RunSummary]:
    """Return the runs of this comparison alone: the folder may hold others, of other settings."""
    own = {job.folder.name: job for job in sorted(jobs, key=lambda job: job.folder.name)}
    # A run may have been trained for another purpose before.
    return [replace(read_run(job.folder), loss=job.label, purpose=job.purpose) for job in own.values()]


def _first_runs(jobs: Sequence[Job]) -> dict[str, Job]:
    """Return the first run of each loss that left predictions, by the loss's name in the table."""
    first: dict[str, Job] = {}
    for job in jobs:
        if (job.folder / TABLE).is_file() and any((job.folder / PREDICTIONS).glob("*.*")):
            for decoding in job.decoding:
                first.setdefault(decoded(job.label, decoding), job)
    return first


def _galleries(rows: Sequence[Row], shown: Mapping[str, Job]) -> list[Gallery]:
    """Show one case under every loss, the leader's cases, and, folded away, the failures of each loss."""
    galleries = [_together(rows, shown), _leader(rows, shown), _failures(rows, shown)]
    ignored = sorted({job.dataset.ignore for job in shown.values() if job.dataset.ignore is not None})
    said = [f"Voxels of the ignored label {label} are shown as background." for label in ignored]
    return [replace(each, note=" ".join([each.note, *said]).strip()) for each in galleries if each.pictures]


def _together(rows: Sequence[Row], shown: Mapping[str, Job]) -> Gallery:
    """Draw the case on which the losses differ most, first the truth and then every loss's prediction."""
    choices = choose_for_all(rows)
    found = [(choice, _predicted(shown, choice)) for choice in choices]
    drawn = [(choice, own) for choice, own in found if own][:MOST_LOSSES]
    absent = [choice.loss for choice, own in found if not own]
    beyond = [choice.loss for choice, own in found if own][MOST_LOSSES:]
    notes = [f"No prediction of this case: {'; '.join(absent)}."] if absent else []
    notes += [f"Left out beyond the best {MOST_LOSSES}: {'; '.join(beyond)}."] if beyond else []
    titles = [f"{choice.loss} {_value(rows, choice, shown[choice.loss].seed)}" for choice, _ in drawn]
    pictures = draw_together([own for _, own in drawn], titles) if drawn else []
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
    found = [(choice, _predicted(shown, choice)) for choice in choices]
    return [
        draw(own, f"{choice.why}: {choice.case}, {choice.loss} {_value(rows, choice, shown[choice.loss].seed)}")
        for choice, own in found
        if own
    ]


def _why(choice: Choice) -> str:
    return f"This is {choice.why}, cut where most pixels are wrong under some loss, of the slices that show the object."


def _predicted(shown: Mapping[str, Job], choice: Choice) -> Prediction | None:
    """Find the prediction of the loss's first run for the case; None where there is nothing, or a damaged file."""
    job = shown.get(choice.loss)
    if job is None:
        return None
    case = next((case for case in job.dataset.cases if case.name == choice.case), None)
    decoding = decoding_of(choice.loss)
    found = Prediction(job.dataset, case, prediction(job.folder, case, decoding=decoding)) if case else None
    return found if found and found.readable() else None


def _value(rows: Sequence[Row], choice: Choice, seed: int) -> str:
    """Write the case's value in the run that is shown, averaged over the classes, under the table's first metric."""
    own = [row for row in rows if (row.loss, row.dataset, row.case) == (choice.loss, choice.task, choice.case)]
    own = [row for row in own if row.seed == seed and row.metric == own[0].metric]
    known = [row.value for row in own if math.isfinite(row.value)]
    return f"({own[0].metric} {number(float(np.mean(known)))})" if known else ""
