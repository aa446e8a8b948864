"""`lossodyssey bench`: a whole comparison from one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lossodyssey.bench.plan import Plan, PlannedData
from lossodyssey.bench.plan_file import parse_plan, read_plan
from lossodyssey.cli.comparison import Data, Loggers, Workers, conduct, show_estimate
from lossodyssey.cli.imports import Imports, open_door
from lossodyssey.core.fields import nearest

PRESETS = ("quick", "odyssey", "topk-thresholds", "ablations", "unified-focal", "region-wise", "vessels")


def bench(
    plan: Annotated[Path | None, typer.Argument(help="The plan, a YAML file.", show_default=False)] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for runs, cases.csv and report.html.")] = Path(
        "bench"
    ),
    preset: Annotated[str, typer.Option(help=f"A plan of the package: {', '.join(PRESETS)}.")] = "",
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set in place of the plan's; repeat.", show_default=False)
    ] = None,
    print_plan: Annotated[bool, typer.Option("--print", help="Print the preset and do nothing else.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, measure a few steps, say how long it takes.")
    ] = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Output folder, or an archive of `lossodyssey pack`, whose finished runs are taken over."
        ),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="Where runs are executed: local, slurm, ray, or print (their commands).")
    ] = "local",
    option: Annotated[
        list[str] | None, typer.Option(help="Of the executor, such as partition=gpu; repeat.", show_default=False)
    ] = None,
    run: Annotated[str, typer.Option(help="Execute this run alone, by the name of its folder.")] = "",
    data: Data = None,
    workers: Workers = None,
    logger: Loggers = None,
    imports: Imports = None,
) -> None:
    """Train, tune, score and rank everything that a plan lists; give the command again to go on after a stop.

    Finished runs are skipped and killed runs go on from their last checkpoint. The results are `cases.csv` and
    `report.html` in the output folder, the runs themselves in `runs/`.

    Examples:

    `lossodyssey bench --preset quick --print > plan.yaml`

    `lossodyssey bench plan.yaml -o study --dry-run`

    `lossodyssey bench --preset odyssey --dataset Task04_Hippocampus -o odyssey`

    `lossodyssey bench plan.yaml -o study --executor slurm --option partition=gpu --option gpus=1`
    """
    alone = {"--executor": executor != "local", "--option": option, "--workers": workers, "--from": earlier}
    if print_plan:
        _refuse("--print", {"a plan file": plan, "--dataset": dataset, "--dry-run": dry_run, "--run": run, **alone})
        typer.echo(preset_text(preset), nl=False)
        return
    if run:
        _refuse("--run", {"--dry-run": dry_run, **alone})
    if dry_run:
        _refuse("--dry-run", {name: given for name, given in alone.items() if name != "--workers"})
    open_door(imports)
    chosen = _chosen(plan, preset)
    if dataset:
        chosen = replace(chosen, datasets=tuple(PlannedData(name) for name in dataset))
    if dry_run:
        show_estimate(chosen, output, data, workers, Console())
        return
    conduct(
        chosen,
        output,
        data,
        workers,
        executor=executor,
        options=option or (),
        words=[*(["--data", str(data)] if data else []), *(f"--import={source}" for source in imports or ())],
        earlier=earlier,
        only=run,
        loggers=logger or (),
    )


def preset_text(name: str) -> str:
    """Return the text of a preset.

    Raises:
        ValueError: there is no preset of this name.
    """
    if name not in PRESETS:
        raise ValueError(f"--preset is {name!r}{nearest(name, PRESETS)}; expected one of {', '.join(PRESETS)}")
    return resources.files("lossodyssey.bench").joinpath(f"presets/{name}.yaml").read_text(encoding="utf-8")


def _refuse(option: str, others: Mapping[str, object]) -> None:
    """Refuse what has no effect beside an option."""
    given = [name for name, value in others.items() if value]
    if given:
        raise ValueError(f"{option} with {given[0]}, which has no effect there; leave one of them out")


def _chosen(plan: Path | None, preset: str) -> Plan:
    if (plan is None) == (not preset):
        raise ValueError("expected either a plan file or --preset NAME; see lossodyssey bench --help")
    return read_plan(plan) if plan else parse_plan(preset_text(preset), f"preset {preset}")
