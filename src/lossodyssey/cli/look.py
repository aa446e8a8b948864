"""`lossodyssey look`: what losses see and pull on, as a picture or a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lossodyssey.atomic import writing
from lossodyssey.cli.comparison import Data
from lossodyssey.cli.imports import Imports, open_door
from lossodyssey.core.door import load_offered
from lossodyssey.core.loss import Loss
from lossodyssey.core.text import parse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".html")


def look(
    losses: Annotated[
        list[str] | None,
        typer.Argument(help='A loss such as "Dice() + Boundary()"; several are drawn one below the other.'),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file, .png, .svg or .html [default: look-LOSS.png].", show_default=False
        ),
    ] = None,
    progress: Annotated[
        float | None,
        typer.Option(help="Where schedules of the loss are, from 0 to 1 [default: 0.5].", min=0, max=1),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--landscape", help="Folder of a finished run: draw the losses around its network instead."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="--landscape: name or folder of the run's data [default: its name].")
    ] = None,
    cases: Annotated[
        int | None, typer.Option(help="--landscape: held-out cases, one patch each [default: 2].", min=1)
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="--landscape: places along each direction, odd [default: 15].", min=3)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="--landscape: seed of the two directions [default: 0].")] = None,
    data: Data = None,
    imports: Imports = None,
) -> None:
    """Draw what a loss sees and pulls on.

    The picture has value and gradient as one voxel's probability moves, the pull on five small scenes, and the maps
    that the loss makes of the truth. An .html page lets you drag the probability, and a disc. With `--landscape RUN`
    it is the value of the losses (or of the run's own) on a plane through a trained network's weights.

    Examples: `lossodyssey look "Dice() + Boundary()"`, `lossodyssey look "Dice()" "CrossEntropy()" -o look.html`,
    `lossodyssey look --landscape demo/runs/dice-1a2b3c4d-seed0`
    """
    open_door(imports)
    load_offered()
    _check_options(run, progress, {"--dataset": dataset, "--cases": cases, "--points": points, "--seed": seed})
    built = [parse(text) for text in losses or ()]
    path = output or Path(f"{_stem(built, run)}.png")
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"--output is {str(path)!r}; expected a file that ends in {', '.join(FORMATS)}")
    if run is None:
        _look(built, path, progress)
    else:
        _landscape(built, path, run, dataset, data, {"cases": cases, "points": points, "seed": seed})


def _check_options(run: Path | None, progress: float | None, only: dict[str, object]) -> None:
    """Raise ValueError for an option that would have no effect."""
    given = [name for name, value in only.items() if value is not None]
    if run is None and given:
        raise ValueError(f"{given[0]} is an option of --landscape; leave it out, or give the folder of a run")
    if run is not None and progress is not None:
        raise ValueError("--progress has no effect on a landscape, whose losses are at the beginning; leave it out")


def _stem(losses: Sequence[Loss], run: Path | None) -> str:
    from lossodyssey.report.render import slug

    name = slug(" ".join(map(repr, losses))) if losses else ""
    return "-".join(part for part in ("landscape" if run else "look", slug(run.name) if run else "", name) if part)


def _look(losses: Sequence[Loss], path: Path, progress: float | None) -> None:
    from lossodyssey.guide.look.figure import NARROW, WIDE, figure
    from lossodyssey.guide.look.page import dragged
    from lossodyssey.guide.look.sight import HALFWAY, is_scheduled
    from lossodyssey.guide.look.sight import look as look_at

    if not losses:
        raise ValueError('expected a loss, such as lossodyssey look "Dice()"; lossodyssey list names them all')
    scheduled = [is_scheduled(loss) for loss in losses]
    if progress is not None and not any(scheduled):
        raise ValueError("--progress has no effect: none of the losses has a schedule; leave it out")
    seen = [look_at(loss, HALFWAY if progress is None else progress) for loss in losses]
    html = path.suffix.lower() == ".html"
    drawn = figure(seen, columns=NARROW if html else WIDE)
    title = f"What {', '.join(each.text for each in seen)} pull{'s' * (len(seen) == 1)} on"
    caption = "Pull: minus the gradient on the logit of the object, each picture on a scale of its own (pull ±)."
    _write(path, drawn, title, caption, dragged(seen) if html else None)
    for each in seen:
        if each.silent:
            typer.echo(f"{each.text} pulls at nothing in: {', '.join(each.silent)}")
    typer.echo(str(path))


def _landscape(
    losses: Sequence[Loss],
    path: Path,
    run: Path,
    dataset: str | None,
    data: Path | None,
    options: dict[str, int | None],
) -> None:
    from rich.progress import Progress

    from lossodyssey.bench.landscape import landscape
    from lossodyssey.bench.record import read_record
    from lossodyssey.data import find_dataset
    from lossodyssey.guide.look.relief import relief

    found = find_dataset(dataset or read_record(run).dataset, data)
    chosen = {name: value for name, value in options.items() if value is not None}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("places", total=None)
        made = landscape(
            run, found, losses, on_point=lambda done, total: progress.update(bar, completed=done, total=total), **chosen
        )
    about = (
        f"Around the network of {made.run}, trained with {made.trained_with}; mean over one patch each of "
        f"{', '.join(made.cases)}, which it was not trained on."
    )
    drawn = relief(made.steps, made.values, about)
    caption = "Two random directions, filter by filter of the norm of the network's own filters (Li et al. 2018)."
    _write(path, drawn, f"The landscape of {', '.join(made.values)}", caption)
    typer.echo(str(path))


def _write(path: Path, drawn: Figure, title: str, caption: str, data: dict[str, object] | None = None) -> None:
    """Write a figure in the format of the file's name, whole or not at all."""
    from lossodyssey.guide.look.page import page
    from lossodyssey.report.figures import style

    kind = path.suffix.lower()
    content = (
        page(title, drawn, caption, data).encode() if kind == ".html" else style.save(drawn, "look")[f"look{kind}"]
    )
    with writing(path) as draft:
        draft.write_bytes(content)
