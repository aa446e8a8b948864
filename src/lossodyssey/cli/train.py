"""`lossodyssey train`, `predict` and `demo`: from a data set to a ranked report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lossodyssey.bench.naming import read_losses
from lossodyssey.bench.plan import Plan, PlannedData, PlannedLoss
from lossodyssey.cli.choosing import Category, Losses, LossFile, chosen
from lossodyssey.cli.comparison import Data, Loggers, Workers, conduct, reopened
from lossodyssey.cli.folders import settled_name
from lossodyssey.cli.imports import Imports, open_door
from lossodyssey.data import Dataset, find_dataset
from lossodyssey.data.places import local_folder
from lossodyssey.training.settings import Settings

DEMO_LOSSES = ("CrossEntropy()", "Dice()", "DiceCE()", "DiceTopK()")
DEMO_DATA = "Task04_Hippocampus"
DEMO_STEPS = 600
DEFAULTS = Settings()
Options = dict[str, dict[str, Any]]
NNUNET_LENGTH, SMALL_LENGTH = (1000, 250), (20, 50)

HeldOut = Annotated[
    str | None,
    typer.Option(
        help="Cases kept from training, to be scored: a number, or a fraction [default: as the data set's "
        "splits_final.json says, where it holds one division, else 0.2].",
        show_default=False,
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for runs, cases.csv and report.html.")]
Seeds = Annotated[int, typer.Option(help="Runs per loss, each with weights and batches of its own.", min=1)]
Steps = Annotated[int, typer.Option(help="Training steps of each run.", min=1)]


def train(
    dataset: Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")],
    loss: Losses = None,
    category: Category = "",
    losses: LossFile = None,
    seeds: Seeds = 3,
    held_out: HeldOut = None,
    engine: Annotated[str, typer.Option(help="What trains: light, or nnunet (nnU-Net v2).")] = "light",
    steps: Annotated[int | None, typer.Option(help="light: training steps of each run [default: 1000].", min=1)] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", "--epochs", help="nnunet: epochs [default: 1000; small: 20].", min=1)
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="nnunet: iterations per epoch [default: 250; small: 50].", min=1)
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="nnunet: epochs of a stall before odyssey's rate falls [default: 50].", min=1)
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="nnunet: nnunet (SGD, deep supervision) or odyssey (Adam) [default: nnunet].")
    ] = None,
    configuration: Annotated[
        str | None, typer.Option(help="nnunet: one of its plans [default: 3d_fullres; pictures: 2d].")
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="nnunet: a small network, for processors.")] = False,
    learning_rate: Annotated[
        float | None, typer.Option(help="At the start [default: light 3e-2; nnunet: the protocol's].")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = DEFAULTS.device,
    output: Output = Path("runs"),
    data: Data = None,
    workers: Workers = None,
    logger: Loggers = None,
    imports: Imports = None,
) -> None:
    """Train one network per loss and seed, score the held-out cases, rank the losses, write a report.

    Runs that are finished are skipped, runs that were killed go on from their last checkpoint. The exit code is 1
    if a run failed; a run that diverged is a result.

    Losses of your own come from a file, which is kept with their runs: `--import mine.py --loss "HalfDice()"`.

    `--loss all`, `--category boundary` and `--losses FILE` name many at once; what is not to be trained alone is added
    to `DiceCE()`, and what the data do not serve is left out, with a line that says why.

    Example: `lossodyssey train Task04_Hippocampus --loss "Dice()" --loss "Dice() + CrossEntropy()" --seeds 3`
    """
    open_door(imports)
    only: Options = {
        "light": {"steps": steps},
        "nnunet": {
            "epochs": budget,
            "iterations": iterations,
            "patience": patience,
            "protocol": protocol,
            "configuration": configuration,
            "small": small or None,
        },
    }
    settings = _engine_settings(engine, only, {"learning_rate": learning_rate, "device": device})
    named = chosen(partial(_opened, dataset, output, data), loss, category, losses)
    scored = None if held_out is None else held_out_option(held_out)
    plan = _plan(dataset, named, seeds, scored, settings, output, engine)
    conduct(plan, output, data, workers, loggers=logger or ())


def _opened(name: str, output: Path, data: Path | None) -> Dataset:
    """Read a data set, or what a folder of images and masks becomes in the output folder."""
    return find_dataset(settled_name(name, output, data), data)


def held_out_option(text: str) -> int | float:
    """Read `--held-out`: a whole number of cases, or a fraction of them between 0 and 1.

    Raises:
        ValueError: the text is neither.
    """
    if text.strip().isdecimal():
        return int(text)
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction < 1:
        raise ValueError(f"--held-out is {text!r}; expected a whole number of cases such as 40, or a fraction as 0.2")
    return fraction


def demo(
    loss: Losses = None,
    category: Category = "",
    losses: LossFile = None,
    seeds: Seeds = 3,
    steps: Steps = DEMO_STEPS,
    output: Output = Path("demo"),
    data: Data = None,
    workers: Workers = None,
    imports: Imports = None,
) -> None:
    """Compare losses on a small task, four where none is named, from training to the report, in minutes on a laptop.

    Uses the hippocampus set of the Medical Segmentation Decathlon where it is at hand, else a synthetic one.

    Examples: `lossodyssey demo --data ~/datasets`, `lossodyssey demo --category region -o regions`
    """
    open_door(imports)
    dataset, why = _demo_dataset(data)
    typer.echo(why)
    named = DEMO_LOSSES if not (loss or category or losses) else chosen(lambda: dataset, loss, category, losses)
    held_out = min(40, len(dataset.cases) // 3)
    plan = _plan(dataset.name, named, seeds, held_out, {"steps": steps}, output)
    conduct(plan, output, data, workers)


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the label maps.")],
) -> None:
    """Segment images with the network of a run.

    Example: `lossodyssey predict demo/runs/dice-1a2b3c4d-seed0 scans -o predictions`
    """
    from rich.progress import Progress

    from lossodyssey.bench.predict import predict as segment_images

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("cases", total=None)
        written = segment_images(
            run, images, output, lambda done, total: progress.update(bar, completed=done, total=total)
        )
    typer.echo(f"{len(written)} label maps in {output}")


def _demo_dataset(data: Path | None) -> tuple[Dataset, str]:
    if local_folder(DEMO_DATA, data):
        found = find_dataset(DEMO_DATA, data)
        return found, f"Data: {DEMO_DATA}, {len(found.cases)} MR volumes, from {found.root}"
    found = find_dataset("phantom", data)
    why = f"Data: phantom, {len(found.cases)} synthetic CT volumes, because {DEMO_DATA} is not on this machine"
    return found, f"{why} (to get it: lossodyssey data fetch {DEMO_DATA})"


def _engine_settings(name: str, only: Options, shared: dict[str, Any]) -> dict[str, Any]:
    """Return the settings for the engine of this name; options are given where they are not None.

    Raises:
        ValueError: an unknown engine, or an option of the other one.
    """
    if name not in only:
        raise ValueError(f"--engine is {name!r}; expected one of {', '.join(only)}")
    for other, options in only.items():
        given = [option for option, value in options.items() if value is not None]
        if given and other != name:
            spelled = {"epochs": "budget"}.get(given[0], given[0])
            raise ValueError(f"--{spelled} is an option of --engine {other}; leave it out, or train with that engine")
    chosen = {option: value for option, value in {**only[name], **shared}.items() if value is not None}
    if name == "nnunet":
        epochs, iterations = SMALL_LENGTH if chosen.get("small") else NNUNET_LENGTH
        chosen = {"epochs": epochs, "iterations": iterations} | chosen
    return chosen


def _plan(
    dataset: str,
    losses: Sequence[str],
    seeds: int,
    held_out: int | float | None,
    settings: dict[str, Any],
    output: Path,
    engine: str = "light",
) -> Plan:
    """Return the plan that a short command stands for; it comes from no file, so errors name none."""
    reopened(output, losses)
    steps = (settings.pop("steps"),) if "steps" in settings else ()
    rates = (settings.pop("learning_rate"),) if "learning_rate" in settings else ()
    return Plan(
        datasets=(PlannedData(dataset),),
        losses=_losses(losses),
        learning_rates=rates,
        held_out=held_out,
        seeds=seeds,
        steps=steps,
        engine=engine,
        settings=settings,
        file="",
    )


def _losses(texts: Sequence[str]) -> tuple[PlannedLoss, ...]:
    """Read the losses of the command line: a text, or `NAME=TEXT`."""
    entries = read_losses(texts)
    return tuple(PlannedLoss((entry.expression,), entry.name) for entry in entries)
