"""A comparison on the terminal: what will be done, progress, the ranking, and the page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console

from lossodyssey.bench.plan import Plan
from lossodyssey.cli.folders import settled
from lossodyssey.table import read_rows

if TYPE_CHECKING:
    from lossodyssey.bench.executors import Executor
    from lossodyssey.bench.job import Engine
    from lossodyssey.bench.record import Record
    from lossodyssey.bench.study import Study
    from lossodyssey.data import Dataset
    from lossodyssey.data.divisions import Division

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
]
Loggers = Annotated[
    list[str] | None,
    typer.Option("--logger", help="Track every run by tensorboard, mlflow or wandb; repeat.", show_default=False),
]
Workers = Annotated[int | None, typer.Option(help="Runs at a time; default one per core, or one per GPU.", min=1)]


def conduct(
    plan: Plan,
    output: Path,
    data: Path | None,
    workers: int | None,
    *,
    executor: str = "local",
    options: Sequence[str] = (),
    words: Sequence[str] = (),
    earlier: Path | None = None,
    only: str = "",
    loggers: Sequence[str] = (),
) -> None:
    """Execute a plan, rank its losses and write the page; the exit code is 1 where a run failed.

    `executor` says where runs are executed, with `options` such as `partition=gpu`; `words` are those that commands of
    single runs need beside plan and output. `earlier` is an output folder whose finished runs are taken over; `only`
    names the single run to execute; `loggers` track every run.

    Raises:
        ValueError: the plan is not valid.
        KeyboardInterrupt: it was stopped by Ctrl-C.
    """
    from lossodyssey.bench.executors import choose
    from lossodyssey.bench.loggers import check_loggers
    from lossodyssey.bench.plan_file import write_plan

    chosen = check_loggers(loggers)
    place = choose(
        executor, **_options(executor, options, workers, [str(output / "plan.yaml"), "-o", str(output), *words])
    )
    plan = settled(plan, output, data)
    study = replace(_study(plan, output, data), loggers=chosen)
    write_plan(output / "plan.yaml", plan)
    _announce(study, _how(study, executor, workers, only))
    try:
        records = _execute(study, place, earlier, only)
    except KeyboardInterrupt:
        typer.echo("Stopped. What is done stays: give the same command again to go on.", err=True)
        raise
    if not only and len(records) < sum(study.planned.values()):
        typer.echo("Give the same command again once these runs have ended: for the next phase, or for the report.")
    elif not only:
        _conclude(study)
    if any(record.status == "failed" for record in records):
        raise typer.Exit(1)


def show_estimate(plan: Plan, output: Path, data: Path | None, workers: int | None, console: Console) -> None:
    """Print the number of runs of a plan, and the time that they take by a few measured steps."""
    from lossodyssey.bench.estimate import estimate
    from lossodyssey.cli.progress import duration

    study = _study(settled(plan, output, data), output, data)
    workers = workers or _workers(study)
    _announce(study, f"{workers} at a time")
    with console.status("measuring") as status:
        found = estimate(study, lambda label: status.update(f"measuring {label}"))
    if found is None:
        typer.echo(f"No estimate of time: engine {study.tasks[0].engine.name} cannot be measured by a few steps.")
        return
    slowest = max(found.steps, key=lambda key: found.steps[key])
    typer.echo(
        f"About {duration(found.seconds / workers)} of training on this machine, beside reading and scoring: "
        f"{_milliseconds(min(found.steps.values()))} to {_milliseconds(found.steps[slowest])} a step "
        f"(slowest: {slowest[1]} on {slowest[0]})."
    )


def _study(plan: Plan, output: Path, data: Path | None) -> Study:
    from lossodyssey.bench.resolve import resolve

    reopened(output, [text for loss in plan.losses for text in loss.stages])
    return resolve(plan, _engine(plan.engine), output, data)


def _engine(name: str) -> Engine:
    """Return the engine of this name with its defaults."""
    if name == "light":
        from lossodyssey.bench.light import Light
        from lossodyssey.training.settings import Settings

        return Light(Settings())
    from lossodyssey.integrations.nnunet.engine import NnUNet

    return NnUNet()


def reopened(output: Path, texts: Sequence[str]) -> None:
    """Load custom losses that earlier runs in `output` keep, and say so."""
    from lossodyssey.bench.own import reopen

    for line in reopen(output, texts):
        typer.echo(line)


def _workers(study: Study) -> int:
    from lossodyssey.bench.executors import default_workers

    return default_workers(study.tasks[0].engine)


def _options(executor: str, given: Sequence[str], workers: int | None, words: Sequence[str]) -> dict[str, Any]:
    """Read `NAME=VALUE` options of an executor.

    Raises:
        ValueError: an option without a value, or --workers where another executor decides.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ValueError(f"--option is {text!r}; expected NAME=VALUE, such as partition=gpu")
        found[name] = yaml.safe_load(value)
    if workers is not None and executor != "local":
        raise ValueError(f"--workers is an option of executor local; leave it out with {executor}")
    if executor == "print":
        return {**found, "words": ("lossodyssey", "bench", *words)}
    return {**found, "workers": workers} if executor == "local" else found


def _how(study: Study, executor: str, workers: int | None, only: str) -> str:
    if only:
        return "of which this command executes one"
    if executor == "local":
        return f"{workers or _workers(study)} at a time"
    return "for the commands below" if executor == "print" else f"by {executor}"


def _announce(study: Study, how: str) -> None:
    """Say how many runs there are and what they have in common."""
    from lossodyssey.bench.answers import disk_note

    engine = study.tasks[0].engine
    searches = sum(runs for phase, runs in study.planned.items() if phase.startswith("search"))
    count = sum(study.planned.values()) - searches
    parts = [_count(len(study.entries), "loss", "losses"), _count(study.seeds, "seed", "seeds")]
    lengths = " or ".join(map(str, study.budgets))
    text = f"{_count(count, 'run', 'runs')} of {lengths} steps ({', '.join(parts)})"
    text += f" and {searches} of {study.search_steps} steps to find learning rates" if searches else ""
    typer.echo(f"{text}, {how}.")
    for task in study.tasks:
        how = _as_given(task.dataset, task.divisions)
        typer.echo(f"{task.name}, {len(task.dataset.cases)} cases: {_cases(task.divisions)}{how}")
    typer.echo("\n".join(filter(None, (engine.note, disk_note(study)))))


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _cases(divisions: Sequence[Division]) -> str:
    first = divisions[0]
    text = f"{len(first.training)} cases to train on, {len(first.scored)} held out"
    text += f", {len(first.validation)} to validate on" if first.validation else ""
    return text if len(divisions) == 1 else f"{len(divisions)} folds; in the first {text}"


def _as_given(dataset: Dataset, divisions: Sequence[Division]) -> str:
    """Say whether the file of divisions in the folder of a data set was followed, where there is one."""
    from lossodyssey.data.divisions import GIVEN, read_divisions

    file = dataset.root / GIVEN
    if not file.is_file():
        return ""
    given = read_divisions(file)
    if [division.scored for division in given] == [division.scored for division in divisions]:
        return f", as its {GIVEN} says"
    several = f" (it has {len(given)} folds: a plan with folds: {len(given)} follows it)" if len(given) > 1 else ""
    return f"; not as its {GIVEN} says{several}"


def _execute(study: Study, executor: Executor, earlier: Path | None, only: str) -> list[Record]:
    from lossodyssey.bench.sweep import run_one, run_study
    from lossodyssey.cli.progress import Display

    with Display(study, Console()) as display:
        if only:
            return [run_one(study, only, on_event=display)]
        return run_study(study, executor=executor, on_event=display, earlier=earlier, say=display.say)


def _conclude(study: Study) -> None:
    """Print the ranking and write the page, or the scores alone where there is nothing to rank."""
    from lossodyssey.bench.story import tell
    from lossodyssey.cli.evaluate import print_summary
    from lossodyssey.cli.rank import rank as print_ranking

    table = study.output / "cases.csv"
    if len(study.entries) < 2:
        print_summary(read_rows(table))
        typer.echo(f"One loss was trained, so there is nothing to rank: add a --loss to compare it with.\n{table}")
        return
    print_ranking([str(table)])
    _measure_data(study)
    typer.echo(str(tell(study.jobs, shlex.join(["lossodyssey", *sys.argv[1:]]))))


def _measure_data(study: Study) -> None:
    """Write the fingerprints of the data for the page, and say where one could not be made."""
    from lossodyssey.bench.fingerprints import write_fingerprints

    with Console(stderr=True).status("measuring the data"):
        problems = list(write_fingerprints(study))
    for problem in problems:
        typer.echo(problem)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
