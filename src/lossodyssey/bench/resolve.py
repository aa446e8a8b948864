"""From a plan to a study: data sets found, engines made, losses read; every mistake names its line of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lossodyssey.bench.job import Engine
from lossodyssey.bench.measures import check_decoding, check_metrics
from lossodyssey.bench.naming import Entry, distinct, named, read_loss
from lossodyssey.bench.plan import Plan, PlannedData, PlannedLoss
from lossodyssey.bench.study import Study, check_output, open_study
from lossodyssey.bench.task import Task, open_task
from lossodyssey.data import Dataset, find_dataset
from lossodyssey.data.divisions import Division, folds, given_division, hold_out, read_folds

HELD_OUT = 0.2
"""Share of the cases that are scored where neither the plan nor the data set says which."""
SEARCH_SHARE = 0.5
"""Length of the runs that look for a learning rate, as a share of the longest budget."""


def resolve(plan: Plan, engine: Engine, output: Path, data: Path | None = None) -> Study:
    """Make the study of a plan, whose `engine` comes with its defaults; `data` is the folder of data sets.

    Nothing is written.

    Raises:
        FileNotFoundError: a data set is not at hand.
        ValueError: anything else in the plan is not valid; the text names its line.
    """
    entries = _entries(plan)
    if plan.engine != "light" and any(entry.before for entry in entries):
        raise ValueError(f"{plan.where('losses')}: stages are of engine light; nnU-Net's protocol odyssey has its own")
    engines = _engines(plan, engine)
    check_output(output, engines[""])
    _check_search(plan, entries)
    tasks = [task for each in range(len(plan.datasets)) for task in _tasks(plan, each, entries, engines, output, data)]
    _check_names(plan, tasks)
    study = Study(
        tasks=tasks,
        entries=entries,
        seeds=plan.seeds,
        budgets=plan.steps or (engines[""].steps,),
        output=output,
        search_steps=plan.search_steps or _half(engines[""], plan),
        metrics=_metrics(plan, tasks),
        decoding=plan.decoding,
    )
    open_study(study)
    return study


@contextmanager
def _naming(plan: Plan, *place: str | int) -> Iterator[None]:
    """Put the line of the plan before the text of an error, where the plan is a file."""
    try:
        yield
    except (ValueError, OSError) as error:
        if not plan.file:
            raise
        # Some texts begin with the key themselves, for callers without a file.
        raise type(error)(f"{plan.where(*place)}: {str(error).removeprefix(f'{place[0]}: ')}") from None


def _entries(plan: Plan) -> list[Entry]:
    found = []
    for position, planned in enumerate(plan.losses):
        with _naming(plan, "losses", position):
            found.append(_entry(planned, plan.learning_rates))
    with _naming(plan, "losses"):
        return distinct(found)


def _entry(planned: PlannedLoss, rates: tuple[float, ...]) -> Entry:
    """Read a loss; its own learning rates are those of its last stage, whose networks are already trained."""
    before: Entry | None = None
    for stage in planned.stages[:-1]:
        before = Entry(read_loss(stage).expression, learning_rates=rates, before=before)
    last = named(planned.name, planned.stages[-1]) if planned.name else read_loss(planned.stages[-1])
    return Entry(last.expression, last.name, planned.learning_rates or rates, before)


def _engines(plan: Plan, engine: Engine) -> dict[str, Engine]:
    """Return the engine of the plan under the empty name, and that of every variant under its own."""
    try:
        engine = engine.but(**plan.settings, **({"steps": plan.steps[-1]} if plan.steps else {}))
    except ValueError as error:
        # The text names the setting that is not valid.
        setting = next((key for key in plan.settings if key in str(error)), "engine")
        with _naming(plan, setting):
            raise
    found = {"": engine}
    for name, changes in plan.variants.items():
        with _naming(plan, "variants", name):
            found[name] = engine.but(**changes)
        same = next(
            (other for other in found if other not in ("", name) and found[other].settings == found[name].settings),
            None,
        )
        if same:
            where = plan.where("variants", name)
            raise ValueError(f"{where}: {name!r} has the settings of {same!r}; change one of them or leave it out")
    return found


def _check_names(plan: Plan, tasks: list[Task]) -> None:
    """Refuse two data sets of one name, whose rows could not be told apart."""
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(
            f"{plan.where('datasets')}: two are called {twice!r}, which the table could not tell apart; leave one of "
            "them out, or give its folder another name"
        )


def _metrics(plan: Plan, tasks: list[Task]) -> tuple[str, ...]:
    """Check measures and decodings on every data set; return the measures by their names in tables."""
    with _naming(plan, "metrics"):
        names = [check_metrics(plan.metrics, task.dataset) for task in tasks]
    with _naming(plan, "decoding"):
        check_decoding(plan.decoding, [division for task in tasks for division in task.divisions])
    return names[0]


def _half(engine: Engine, plan: Plan) -> int:
    longest = plan.steps[-1] if plan.steps else engine.steps
    return max(1, round(SEARCH_SHARE * longest))


def _check_search(plan: Plan, entries: list[Entry]) -> None:
    several = next((entry for entry in entries if len(entry.learning_rates) > 1), None)
    if several and not plan.validation:
        raise ValueError(
            f"{plan.where('learning_rates')}: {several.label} has {len(several.learning_rates)} rates and no "
            "validation cases to choose by; add validation: 0.2, cases that are neither trained on nor scored"
        )
    if plan.learning_rates and all(each.learning_rates and len(each.stages) == 1 for each in plan.losses):
        raise ValueError(
            f"{plan.where('learning_rates')}: every loss has learning rates of its own, so these are for none of "
            "them; leave them out"
        )
    if plan.search_steps and not several:
        raise ValueError(
            f"{plan.where('search_steps')}: no loss has several learning_rates to search among; leave it out"
        )


def _tasks(
    plan: Plan, position: int, entries: list[Entry], engines: dict[str, Engine], output: Path, data: Path | None
) -> Iterator[Task]:
    planned = plan.datasets[position]
    with _naming(plan, "datasets", position):
        dataset = find_dataset(planned.name, data)
        divisions = _divisions(plan, planned, dataset)
        expressions = dict.fromkeys(text for entry in entries for text in entry.stages)
        named = {name: engine for name, engine in engines.items() if name} or {"": engines[""]}
        for name, engine in named.items():
            label = f"{dataset.name}, {name}" if name else ""
            yield open_task(dataset, divisions, engine, expressions, output / "data.json", label)


def _divisions(plan: Plan, planned: PlannedData, dataset: Dataset) -> list[Division]:
    count = planned.folds or (plan.folds if planned.held_out is None else None)
    if isinstance(count, int):
        return folds(dataset, count, plan.validation)
    if count:
        return read_folds(dataset, Path(count), plan.validation)
    held_out = plan.held_out if planned.held_out is None else planned.held_out
    given = given_division(dataset, plan.validation) if held_out is None else None
    return [given or hold_out(dataset, HELD_OUT if held_out is None else held_out, plan.validation)]
