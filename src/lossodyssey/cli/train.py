"""`lossodyssey train`, `predict` and `demo`: from a data set to a ranked report."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lossodyssey.data import Dataset, find_dataset
from lossodyssey.data.places import local_folder
from lossodyssey.training.settings import Settings

DEMO_LOSSES = ("CrossEntropy()", "Dice()", "DiceCE()", "DiceTopK()")
DEMO_DATA = "Task04_Hippocampus"
DEMO_STEPS = 600
DEFAULTS = Settings()

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for runs, cases.csv and report.html.")]
Seeds = Annotated[int, typer.Option(help="Runs per loss, each with weights and batches of its own.", min=1)]
Steps = Annotated[int, typer.Option(help="Training steps of each run.", min=1)]
Workers = Annotated[int | None, typer.Option(help="Runs at a time; default one per core, or one on a GPU.", min=1)]


def train(
    dataset: Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")],
    loss: Annotated[list[str], typer.Option(help='A loss such as "Dice() + CrossEntropy()"; repeat to compare.')],
    seeds: Seeds = 3,
    steps: Steps = DEFAULTS.steps,
    held_out: Annotated[int, typer.Option(help="Cases kept from training, to be scored.", min=1)] = 40,
    learning_rate: Annotated[float, typer.Option(help="Learning rate at the start.")] = DEFAULTS.learning_rate,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = DEFAULTS.device,
    output: Output = Path("runs"),
    data: Data = None,
    workers: Workers = None,
) -> None:
    """Train one network per loss and seed, score the held-out cases, rank the losses, write a report.

    Runs that are finished are skipped, runs that were killed go on from their last checkpoint. The exit code is 1
    if a run failed; a run that diverged is a result.

    Example: `lossodyssey train Task04_Hippocampus --loss "Dice()" --loss "Dice() + CrossEntropy()" --seeds 3`
    """
    settings = replace(DEFAULTS, steps=steps, learning_rate=learning_rate, device=device)
    _compare(find_dataset(dataset, data), loss, seeds, held_out, settings, output, workers)


def demo(
    loss: Annotated[list[str] | None, typer.Option(help="A loss to compare; repeat.", show_default=False)] = None,
    seeds: Seeds = 2,
    steps: Steps = DEMO_STEPS,
    output: Output = Path("demo"),
    data: Data = None,
    workers: Workers = None,
) -> None:
    """Compare four losses on a small task, from training to the report, in minutes on a laptop.

    Uses the hippocampus set of the Medical Segmentation Decathlon where it is at hand, else a synthetic one.

    Example: `lossodyssey demo --data ~/datasets`
    """
    chosen, why = _demo_dataset(data)
    typer.echo(why)
    held_out = min(40, len(chosen.cases) // 3)
    _compare(chosen, loss or DEMO_LOSSES, seeds, held_out, replace(DEFAULTS, steps=steps), output, workers)


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


def _compare(
    dataset: Dataset,
    losses: list[str] | tuple[str, ...],
    seeds: int,
    held_out: int,
    settings: Settings,
    output: Path,
    workers: int | None,
) -> None:
    from lossodyssey.bench.executors import default_workers
    from lossodyssey.bench.story import tell
    from lossodyssey.bench.sweep import plan, sweep
    from lossodyssey.cli.progress import Display
    from lossodyssey.cli.rank import rank as print_ranking

    jobs = plan(dataset, losses, seeds=seeds, held_out=held_out, settings=settings, output=output)
    workers = workers or default_workers(settings)
    typer.echo(
        f"{len(jobs)} runs of {settings.steps} steps ({len(jobs) // seeds} losses, {seeds} seeds), "
        f"{workers} at a time: {len(dataset.cases) - held_out} cases to train on, {held_out} held out.\n"
        "Runs of one seed start from the same weights and see the same batches; only the loss differs."
    )
    with Display(jobs, Console()) as display:
        records = sweep(jobs, workers=workers, on_event=display)
    print_ranking([str(output / "cases.csv")])
    typer.echo(str(tell(jobs, shlex.join(["lossodyssey", *sys.argv[1:]]))))
    if any(record.status == "failed" for record in records):
        raise typer.Exit(1)
