"""The comparison: every loss with every seed, one table of cases."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path, PurePath

import torch

from lossodyssey.bench.executors import OnEvent, run_jobs
from lossodyssey.bench.job import Engine, Job
from lossodyssey.bench.naming import read_losses
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.run import adopted
from lossodyssey.bench.scoring import blank_rows
from lossodyssey.core.class_weights import with_class_weights
from lossodyssey.core.context import Context
from lossodyssey.core.sources import sources_of
from lossodyssey.core.text import parse
from lossodyssey.data import Case, Dataset, held_out_count, read_case, split
from lossodyssey.data.contents import read_contents
from lossodyssey.table import Row, read_rows, write_rows
from lossodyssey.training.truth import build_criterion, truth_of


def plan(
    dataset: Dataset, losses: Sequence[str], *, seeds: int, held_out: int | float, engine: Engine, output: Path
) -> list[Job]:
    """List the runs of a comparison, seed by seed; every user's mistake shows here, before anything is written.

    `losses` are texts, or `NAME=TEXT` where tables and figures shall say the name; `held_out` is a number of cases or
    a fraction of them.

    Raises:
        ValueError: no or unknown losses, a name that does not serve, one loss under two texts, losses that do not fit
            the number of classes, no seeds, a split that leaves no case on one side, what the engine cannot do, an
            `output` that is a file or holds runs of another engine, cases that cannot be read.
    """
    if not losses or seeds < 1:
        raise ValueError(f"{len(losses)} losses and {seeds} seeds make no comparison; give at least one of each")
    _check_output(output, engine)
    entries = read_losses(losses)
    for entry in entries:
        _try(entry.expression, dataset)
    count = held_out_count(dataset, held_out)
    split(dataset, count)
    engine.check(dataset)
    memory = output / "data.json"
    contents = read_contents(dataset, memory)
    jobs = [
        Job(
            expression=entry.expression,
            name=entry.name,
            dataset=dataset,
            held_out=count,
            seed=seed,
            engine=engine,
            runs=output / "runs",
            data=contents.digest,
            sources=sources_of(parse(entry.expression)),
        )
        for seed in range(seeds)
        for entry in entries
    ]
    if not all(job.done() for job in jobs):
        _check_cases(dataset, count)
    _tell(contents.changed(memory), output)
    contents.remember(memory)
    return jobs


def _tell(changed: Sequence[str], output: Path) -> None:
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        warnings.warn(
            f"{changed[0]}{more} changed since the runs in {output}: every loss is trained again, on the data as they "
            "are now",
            stacklevel=3,
        )


def _check_output(output: Path, engine: Engine) -> None:
    """Engines differ in more than the loss: their runs do not share a folder, and so neither a table nor a page."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; expected a folder for the results, or a new name")
    others = {_engine_of(path.parent) for path in (output / "runs").glob("*/run.json")} - {engine.name, ""}
    if others:
        raise ValueError(
            f"{output}: holds runs of engine {min(others)}; give those of {engine.name} another folder (-o)"
        )


def _engine_of(run: Path) -> str:
    try:
        return read_record(run).engine
    except (OSError, ValueError):
        return ""


def _check_cases(dataset: Dataset, held_out: int) -> None:
    """Read every case once: minutes at worst, where a broken file would end every run after hours."""
    ignored = {case.name for case in dataset.cases if _is_ignored(dataset, case)}
    for part, cases in zip(("to train on", "held out"), split(dataset, held_out), strict=True):
        if ignored.issuperset(case.name for case in cases):
            raise ValueError(
                f"{dataset.name}: every voxel of the {len(cases)} cases {part} has the ignored label {dataset.ignore}; "
                "label some of them, or hold out others"
            )


def _is_ignored(dataset: Dataset, case: Case) -> bool:
    """Check a case by reading it; return whether no voxel of it counts."""
    if PurePath(case.name).name != case.name:
        raise ValueError(f"{dataset.name}: case {case.name!r} cannot name a file; expected a name without slashes")
    labels = read_case(dataset, case).labels
    if labels is None:
        raise ValueError(f"{dataset.name}: case {case.name} has no labels; add them or take the case out")
    return dataset.ignore is not None and bool((labels == dataset.ignore).all())


def _try(expression: str, dataset: Dataset) -> None:
    """Compute the loss once, so that one that cannot take these classes or regions is refused at once."""
    regions = [region.labels for region in dataset.regions]
    outputs = len(regions) or len(dataset.classes)
    labels = torch.arange(8**2).reshape(1, 8, 8) % len(dataset.classes)
    target, weight = truth_of(labels, regions, dataset.ignore)
    image, annotated = torch.zeros(1, len(dataset.channels), 8, 8), next(iter(dataset.annotated.values()), None)
    try:
        criterion = build_criterion(with_class_weights(parse(expression), [1] * outputs), regions, dataset.ignore)
        context = Context(
            weight=weight, spacing=(1.0, 1.0), image=image, annotated=annotated and torch.tensor([annotated])
        )
        criterion(torch.zeros(1, outputs, 8, 8), target, context)
    except (ValueError, RuntimeError) as error:
        kind = "regions" if regions else "classes"
        raise ValueError(f"loss {expression} does not work with {outputs} {kind}: {error}") from None


def sweep(jobs: Sequence[Job], *, workers: int, on_event: OnEvent) -> list[Record]:
    """Execute the jobs that are not done yet; write `cases.csv` beside their folder; give all their records.

    `on_event` hears of progress and of every end; of those that were done before, at once.
    """
    jobs[0].check_data()
    waiting = [job for job in jobs if not job.done()]
    for job in jobs:
        if job not in waiting:
            on_event(job, adopted(job))
    if waiting:
        waiting[0].engine.prepare(waiting[0])
    run_jobs(waiting, workers, on_event)
    rows = [row for job in jobs for row in _rows(job)]
    write_rows(jobs[0].runs.parent / "cases.csv", sorted(rows, key=_order))
    return [read_record(job.folder) for job in jobs]


def _rows(job: Job) -> list[Row]:
    status = read_record(job.folder).status
    if status == "finished":
        return read_rows(job.folder / "cases.csv")
    return blank_rows(job, split(job.dataset, job.held_out)[1], status)


def _order(row: Row) -> tuple[object, ...]:
    return (row.loss, row.dataset, row.fold, row.seed, row.case, row.class_name, row.metric)
