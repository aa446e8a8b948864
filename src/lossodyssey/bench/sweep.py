"""The execution of a study: phase by phase what is not done yet, then its tables of cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from lossodyssey.atomic import write_text
from lossodyssey.bench.damage import TABLE
from lossodyssey.bench.executors import Commands, Executor, Local, OnEvent
from lossodyssey.bench.inherit import inherit
from lossodyssey.bench.job import Job
from lossodyssey.bench.measures import decoded
from lossodyssey.bench.packing import unpacked
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.run import adopted
from lossodyssey.bench.scoring import blank_rows
from lossodyssey.bench.searches import write_tuning
from lossodyssey.bench.study import Study
from lossodyssey.table import Row, read_rows, write_rows


def run_study(
    study: Study,
    *,
    executor: Executor,
    on_event: OnEvent,
    earlier: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Record]:
    """Execute a study and write its tables of cases; give the records of all runs that have ended.

    `cases.csv` is about the last budget; each other one has a table of its own, such as `cases-500.csv`. Finished runs
    of `earlier`, an output folder or an archive of one, are taken over; `say` is told which could not be.
    An executor that only prints commands ends the call where a phase must wait for them, without tables. `tuning.csv`
    holds the learning rates that were searched so far.
    """
    _write_planned(study)
    records: list[Record] = []
    runs: list[str] = []
    with unpacked(earlier) if earlier else nullcontext() as source:
        for jobs in study.phases():
            if source:
                _take_over(jobs, source, str(earlier), say)
            records += sweep(jobs, executor=executor, on_event=on_event)
            runs += [job.folder.name for job in jobs]
            if not all(job.ended() for job in jobs):
                return records
            write_tuning(study, study.output / "tuning.csv")
    for budget in study.budgets:
        write_table(study.table(budget), table_path(study, budget))
    _write_planned(study, runs)
    return records


def _write_planned(study: Study, runs: Sequence[str] = ()) -> None:
    """Write the number of planned runs, for readers of the folder meanwhile, and their names once all are known."""
    phases = [{"name": name, "runs": number} for name, number in study.planned.items()]
    content: dict[str, Any] = {"planned": sum(study.planned.values()), "phases": phases}
    content |= {"runs": sorted(set(runs))} if runs else {}
    write_text(study.output / "plan.json", json.dumps(content, indent=2) + "\n")


def run_one(study: Study, folder: str, *, on_event: OnEvent) -> Record:
    """Execute one run of a study, by the name of its folder.

    Raises:
        ValueError: no run that can begin now has this name.
    """
    for jobs in study.phases():
        for job in jobs:
            if job.folder.name == folder:
                return sweep([job], executor=Local(1), on_event=on_event)[0]
        if not all(job.ended() for job in jobs):
            break
    raise ValueError(
        f"--run is {folder!r}, which is not a run of this plan, or one whose learning rate is not found yet"
    )


def _take_over(jobs: Sequence[Job], source: Path, name: str, say: Callable[[str], None]) -> None:
    wanted = [job for job in jobs if not job.folder.exists()]
    copied, damaged = inherit(wanted, source)
    if wanted and not copied:
        say(
            f"no run of {name} would end the same way as the {len(wanted)} that begin now: loss, data, division, "
            "engine, settings and seed must be the same"
        )
    if copied:
        say(f"{len(copied)} run{'s' * (len(copied) != 1)} taken over from {name}")
    for line in damaged:
        say(line)


def sweep(jobs: Sequence[Job], *, executor: Executor, on_event: OnEvent) -> list[Record]:
    """Execute the runs that are not done yet; give the records of all that have ended.

    `on_event` is called on progress and at every end, and at once for runs that were done before. If the network that
    waiting runs begin with is gone, as in runs taken over from an archive, it is trained again first.
    """
    jobs[0].check_data()
    waiting = []
    for job in jobs:
        if job.done():
            on_event(job, adopted(job))
        else:
            waiting.append(job)
    # Printed commands do not wait for each other: each trains the networks that it lacks.
    if (lost := _lost(waiting)) and not isinstance(executor, Commands):
        sweep(lost, executor=executor, on_event=on_event)
    for job in _first_of_each_training_set(waiting):
        job.engine.prepare(job)
    executor.run(waiting, on_event)
    return [read_record(job.folder) for job in jobs if job.ended()]


def _lost(jobs: Sequence[Job]) -> list[Job]:
    """Return the runs whose networks are gone and which others begin with, each once."""
    starts = {job.start.folder: replace(job.start, passed_on=True) for job in jobs if job.start}
    return [start for start in starts.values() if start.lost()]


def _first_of_each_training_set(jobs: Sequence[Job]) -> Iterable[Job]:
    found: dict[object, Job] = {}
    for job in jobs:
        found.setdefault((job.dataset.root, job.division.training), job)
    return found.values()


def table_path(study: Study, budget: int) -> Path:
    """Return the file of the table of one budget."""
    return study.output / ("cases.csv" if budget == study.budgets[-1] else f"cases-{budget}.csv")


def write_table(jobs: Sequence[Job], path: Path) -> None:
    """Write the long table of runs that have ended, in order, with the rows of one of them in memory at a time."""
    write_rows(path, _in_order(jobs))


def _in_order(jobs: Sequence[Job]) -> Iterator[Row]:
    parts = [
        # The beginning of the order of all rows of a run under one decoding.
        ((decoded(job.label, decoding), job.label_of_data, job.division.fold, job.seed), job)
        for job in jobs
        for decoding in job.decoding
    ]
    head = itemgetter(0)
    for (loss, *_), own in groupby(sorted(parts, key=head), key=head):
        yield from sorted((row for _, job in own for row in _rows(job) if row.loss == loss), key=_order)


def _rows(job: Job) -> list[Row]:
    """Return the rows that the job asks for; those that the run could not be given are blank."""
    status = read_record(job.folder).status
    if status != "finished":
        return blank_rows(job, job.scored, status)
    losses = [decoded(job.label, decoding) for decoding in job.decoding]
    rows = [row for row in read_rows(job.folder / TABLE) if row.loss in losses and row.metric in job.metrics]
    there = {(row.loss, row.metric) for row in rows}
    whole = len(there) == len(losses) * len(job.metrics)
    absent = [] if whole else blank_rows(job, job.scored, "failed")
    return rows + [row for row in absent if (row.loss, row.metric) not in there]


def _order(row: Row) -> tuple[object, ...]:
    return (row.loss, row.dataset, row.fold, row.seed, row.case, row.class_name, row.metric)
