"""A whole comparison: losses on data sets, each with its own learning rate, several trainings of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lossodyssey.bench.job import Engine, Job, Purpose
from lossodyssey.bench.measures import ARGMAX
from lossodyssey.bench.naming import Entry, read_losses
from lossodyssey.bench.record import read_record
from lossodyssey.bench.task import Task, check_cases, open_task, remember
from lossodyssey.bench.tuning import METRIC, Choice, choose, validation_score
from lossodyssey.core.sources import Source, sources_of
from lossodyssey.core.text import parse
from lossodyssey.data import Dataset
from lossodyssey.data.divisions import Division, hold_out
from lossodyssey.metrics.score import DEFAULT

SEARCH_SEED = 0
"""Seed of the runs that look for a learning rate."""

Searched = tuple[str, int, tuple[str, ...]]
"""Task, fold and stages of a loss, for which a learning rate is chosen."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """The runs of a comparison.

    `budgets` are lengths of a run in steps; the last is the one that the answer is about. Where a loss has several
    learning rates, one is chosen for each task and fold from runs of `search_steps`. `metrics` and `decoding` are of
    the runs that make the table; `loggers` track every run.
    """

    tasks: Sequence[Task]
    entries: Sequence[Entry]
    seeds: int
    budgets: Sequence[int]
    output: Path
    search_steps: int = 0
    metrics: tuple[str, ...] = DEFAULT
    decoding: tuple[str, ...] = (ARGMAX,)
    loggers: tuple[str, ...] = ()

    @property
    def memory(self) -> Path:
        """File that saves reading the data again to see whether they are the same."""
        return self.output / "data.json"

    def phases(self) -> Iterator[list[Job]]:
        """Yield the runs of one phase after the other; all of them must have ended before the next is asked for.

        Runs that look for rates come before those that take them, and runs that give others their first weights before
        those.
        """
        for entries in self.levels:
            if searches := [job for each in self._wholes() for entry in entries for job in self._search(*each, entry)]:
                yield searches
            yield [job for budget in self.budgets for job in self._runs(entries, budget)]

    def table(self, budget: int) -> list[Job]:
        """Return the runs that make the table of one budget, seed by seed, as far as their rates have been chosen."""
        return list(self._runs(self.entries, budget))

    @property
    def jobs(self) -> list[Job]:
        """The runs that make `cases.csv`, the table of the last budget."""
        return self.table(self.budgets[-1])

    def choices(self) -> dict[Searched, Choice]:
        """Return the learning rates that have been chosen among several."""
        searched = [entry for entries in self.levels for entry in entries if len(entry.learning_rates) > 1]
        found = {
            (task.name, division.fold, entry.stages): self._choice(task, division, entry)
            for task, division in self._wholes()
            for entry in searched
        }
        return {key: choice for key, choice in found.items() if choice}

    @property
    def planned(self) -> dict[str, int]:
        """The number of runs that search and of those that make the table or begin one that does."""
        entries, places = [entry for entries in self.levels for entry in entries], len(self._wholes())
        searches = sum(len(entry.learning_rates) for entry in entries if len(entry.learning_rates) > 1)
        tables = len(entries) * self.seeds * len(self.budgets)
        return ({"search": searches * places} if searches else {}) | {"table": tables * places}

    def lengths(self) -> Iterator[tuple[Task, Entry, Job, list[int]]]:
        """Yield every loss on every task, with a run of it at its first rate, and the steps of all its runs."""
        for task in self.tasks:
            for entry in (entry for entries in self.levels for entry in entries):
                rates = entry.learning_rates
                searches = [self.search_steps] * len(rates) if len(rates) > 1 else []
                steps = (searches + list(self.budgets) * self.seeds) * len(task.divisions)
                engine = _engine(task.engine, self.budgets[-1], rates[0] if rates else None)
                yield task, entry, self._job(task, task.divisions[0], entry, 0, engine, "table", None), steps

    @cached_property
    def levels(self) -> list[list[Entry]]:
        """The losses to train by the number of stages before them, with the stages that later ones begin with."""
        found: dict[tuple[str, ...], Entry] = {entry.stages: entry for entry in self.entries}
        for entry in self.entries:
            stage = entry.before
            while stage:
                found.setdefault(stage.stages, stage)
                stage = stage.before
        deepest = max(map(len, found))
        return [[entry for stages, entry in found.items() if len(stages) == n + 1] for n in range(deepest)]

    @cached_property
    def _chosen(self) -> dict[Searched, Choice]:
        return {}

    @cached_property
    def _sources(self) -> dict[str, tuple[Source, ...]]:
        expressions = {entry.expression for level in self.levels for entry in level}
        return {expression: sources_of(parse(expression)) for expression in expressions}

    def _wholes(self) -> list[tuple[Task, Division]]:
        return [(task, division) for task in self.tasks for division in task.divisions]

    def _runs(self, entries: Sequence[Entry], budget: int) -> Iterator[Job]:
        for seed in range(self.seeds):
            for task, division in self._wholes():
                for entry in entries:
                    if run := self._run(task, division, entry, seed, budget):
                        yield run

    def _run(self, task: Task, division: Division, entry: Entry, seed: int, budget: int) -> Job | None:
        """Return a run at the rate of its loss, None where that rate has not been chosen yet."""
        rate = next(iter(entry.learning_rates), None)
        if len(entry.learning_rates) > 1:
            choice = self._choice(task, division, entry)
            if choice is None:
                return None
            rate = choice.rate
        start = self._start(task, division, entry, seed, budget)
        if entry.before and start is None:
            return None
        purpose: Purpose = "table" if entry in self.entries else "start"
        return self._job(task, division, entry, seed, _engine(task.engine, budget, rate), purpose, start)

    def _search(self, task: Task, division: Division, entry: Entry) -> list[Job]:
        """Return the runs that try the learning rates of a loss, which are scored on validation cases alone."""
        if len(entry.learning_rates) < 2:
            return []
        start = self._start(task, division, entry, SEARCH_SEED, self.budgets[-1])
        if entry.before and start is None:
            return []
        engines = [_engine(task.engine, self.search_steps, rate) for rate in entry.learning_rates]
        own = division.searching()
        return [self._job(task, own, entry, SEARCH_SEED, engine, "search", start) for engine in engines]

    def _choice(self, task: Task, division: Division, entry: Entry) -> Choice | None:
        """Return the rate that the searches found, None where one of them has not ended."""
        key = task.name, division.fold, entry.stages
        if key not in self._chosen:
            jobs = self._search(task, division, entry)
            if not jobs or not all(job.ended() for job in jobs):
                return None
            found = choose(dict(zip(entry.learning_rates, map(validation_score, jobs), strict=True)))
            # A search that failed is tried again: what it finds then must count.
            if not all(job.concluded() for job in jobs):
                return found
            self._chosen[key] = found
        return self._chosen[key]

    def _start(self, task: Task, division: Division, entry: Entry, seed: int, budget: int) -> Job | None:
        """Return the run that the loss begins with, where it has an earlier stage."""
        if entry.before is None:
            return None
        # A stage may be a loss of the comparison itself: its runs then serve both.
        known = {each.stages: each for each in self.levels[len(entry.before.stages) - 1]}
        return self._run(task, division, known[entry.before.stages], seed, budget)

    def _job(
        self,
        task: Task,
        division: Division,
        entry: Entry,
        seed: int,
        engine: Engine,
        purpose: Purpose,
        start: Job | None,
    ) -> Job:
        return Job(
            expression=entry.expression,
            name=entry.name or entry.label * (entry.before is not None),
            dataset=task.dataset,
            division=division,
            seed=seed,
            engine=engine,
            runs=self.output / "runs",
            data=task.contents.digest,
            sources=self._sources[entry.expression],
            task=task.label,
            purpose=purpose,
            start=start,
            metrics=self.metrics if purpose == "table" else (METRIC,),
            decoding=self.decoding if purpose == "table" else (ARGMAX,),
            loggers=self.loggers,
        )


def _engine(engine: Engine, steps: int, rate: float | None) -> Engine:
    chosen = engine if steps == engine.steps else engine.but(steps=steps)
    return chosen if rate is None else chosen.but(learning_rate=rate)


def open_study(study: Study) -> None:
    """Look at all data before the first run, so that a user's mistake shows at once.

    Raises:
        ValueError: a case that cannot be trained on.
    """
    # Reading every case takes minutes: only where something is left to be trained. The results of finished runs are
    # looked at later, run by run, where the progress of that is shown.
    if not all(job.concluded() for jobs in study.phases() for job in jobs):
        for task in study.tasks:
            check_cases(task)
    for task in study.tasks:
        remember(task, study.memory)


def compare(
    dataset: Dataset, losses: Sequence[str], *, seeds: int, held_out: int | float, engine: Engine, output: Path
) -> Study:
    """Plan the comparison of losses on one data set, at one learning rate; every mistake shows here.

    `losses` are texts, or `NAME=TEXT` where tables and figures are to show the name; `held_out` is a number of cases or
    a fraction of them.

    Raises:
        ValueError: no or unknown losses, a name that is not valid, one loss under two texts, losses that do not fit
            the number of classes, no seeds, a split that leaves no case on one side, data the engine cannot take, an
            `output` that is a file or holds runs of another engine, cases that cannot be read.
    """
    if not losses or seeds < 1:
        raise ValueError(f"{len(losses)} losses and {seeds} seeds make no comparison; give at least one of each")
    check_output(output, engine)
    entries = read_losses(losses)
    texts = [entry.expression for entry in entries]
    task = open_task(dataset, [hold_out(dataset, held_out)], engine, texts, output / "data.json")
    study = Study(tasks=[task], entries=entries, seeds=seeds, budgets=[engine.steps], output=output)
    open_study(study)
    return study


def check_output(output: Path, engine: Engine) -> None:
    """Raise ValueError where the folder is a file, or holds runs of another engine.

    Engines differ in more than the loss, so their runs share neither a folder nor a table nor a page.
    """
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
