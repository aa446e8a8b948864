"""`lossodyssey data adopt`: a folder of images and masks becomes a data set, shown before anything is written."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from lossodyssey.atomic import writing

if TYPE_CHECKING:
    from lossodyssey.data.adopt import Understanding

MOST = 20  # files that are listed one by one
DARK = 100  # of 255


def adopt(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder that holds images and masks.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images, in place of a common folder.", show_default=False)
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of masks.", show_default=False)] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The new folder.")] = Path("adopted"),
    pattern: Annotated[
        str, typer.Option("--pattern", help="Names of masks, such as `{case}_mask` or `{case}_{class}`.")
    ] = "",
    image_pattern: Annotated[str, typer.Option(help="Names of images, such as `{case}_{channel}`.")] = "",
    classes: Annotated[str, typer.Option(help="Names: `liver,spleen`, `1=liver,2=spleen` or `#ff0000=liver`.")] = "",
    ignore: Annotated[str, typer.Option(help="Value or colour of pixels that do not count.")] = "",
    threshold: Annotated[
        float | None, typer.Option(help="Masks are foreground from this value on.", show_default=False)
    ] = None,
    instances: Annotated[bool, typer.Option("--instances", help="Masks number objects of one class.")] = False,
    spacing: Annotated[str, typer.Option(help="Size of a pixel in mm, rows first: 0.5,0.5.")] = "",
    group: Annotated[str, typer.Option(help="Regular expression; its first capture group is the patient.")] = "",
    copy: Annotated[bool, typer.Option("--copy", help="Copy files instead of linking to them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, and accept what is doubtful.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was understood and write nothing.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option(help="PNG file of some cases [default: beside the new folder].", show_default=False),
    ] = None,
) -> None:
    """Make a data set of images and masks, whatever they are called.

    It shows what it understood as a table and as a picture of some cases before it writes. Without `--yes` it asks on
    a terminal; elsewhere it goes on where nothing is doubtful, and says what is doubtful where something is.

    Example: `lossodyssey data adopt scans -o myset`, then `lossodyssey train myset --loss "DiceCE()"`
    """
    from lossodyssey.data.adopt import Choices, understand, write
    from lossodyssey.data.adopt.writing import check_new

    if not dry_run:
        check_new(output)
    choices = Choices(
        folder=folder,
        images=images,
        masks=masks,
        pattern=pattern,
        image_pattern=image_pattern,
        classes=classes,
        ignore=ignore,
        threshold=threshold,
        instances=instances,
        spacing=_sizes(spacing),
        group=group,
    )
    with Bar("reading") as bar:
        found = understand(choices, bar.show)
    show(found)
    refuse(found)
    if not dry_run or picture:
        draw(found, picture or beside(output))
    if dry_run:
        typer.echo("Nothing was written (--dry-run).")
        return
    confirm(found, output, yes)
    with Bar("writing") as bar:
        dataset = write(found, output, copy=copy, on_progress=bar.show)
    typer.echo(f'{len(dataset.cases)} cases in {output}; now: lossodyssey train {output} --loss "DiceCE()"')


class Bar:
    """A bar of progress on stderr, where that is a terminal."""

    def __init__(self, what: str) -> None:
        console = Console(stderr=True)
        self.progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task(what, total=None)

    def show(self, done: int, total: int) -> None:
        """Show how much is done."""
        self.progress.update(self.task, completed=done, total=total)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def _sizes(text: str) -> tuple[float, ...]:
    """Read `--spacing`.

    Raises:
        ValueError: it is not numbers.
    """
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"--spacing is {text!r}; expected sizes in mm, such as 0.5,0.5") from None


def show(found: Understanding) -> None:
    """Print what was understood: a table, the notes, and the files that fit nothing."""
    from lossodyssey.data.adopt.summary import rows

    table = Table(box=None, show_header=False, title="What was understood", title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, how in rows(found):
        table.add_row(escape(what), escape(how))
    Console().print(table)
    for note in found.notes:
        typer.echo(f"note: {note}")
    if found.unpaired:
        count = len(found.unpaired)
        typer.echo(f"{count} file{'s are' if count > 1 else ' is'} left out:")
        for path, why in found.unpaired[:MOST]:
            typer.echo(f"  {path}: {why}")
        if len(found.unpaired) > MOST:
            typer.echo(f"  and {len(found.unpaired) - MOST} more")


def refuse(found: Understanding) -> None:
    """Refuse what no guess can decide.

    Raises:
        ValueError: there is something of that kind; the text says how to decide it.
    """
    for more in found.refused[1:]:
        typer.echo(f"error: {more}", err=True)
    if found.refused:
        raise ValueError(found.refused[0])


def confirm(found: Understanding, output: Path, yes: bool, *, ask: bool = True) -> None:
    """Ask on a terminal; elsewhere, or without `ask`, refuse what is doubtful.

    Raises:
        ValueError: something is doubtful and nobody can be asked.
        typer.Exit: the answer is no.
    """
    for doubt in found.doubts:
        typer.echo(f"doubtful: {doubt}")
    if yes:
        return
    if ask and _is_terminal():
        if not typer.confirm(f"Write {output}?", default=not found.doubts):
            typer.echo("Nothing was written.")
            raise typer.Exit(1)
    elif found.doubts:
        raise ValueError(f"{found.doubts[0]}; add --yes if that is right")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def beside(folder: Path) -> Path:
    """Return the file of the picture of a new data set."""
    return folder.with_name(f"{folder.name}-preview.png")


def draw(found: Understanding, path: Path) -> None:
    """Write a picture of some cases and print where it is; without matplotlib say what would draw it."""
    if find_spec("matplotlib") is None:
        typer.echo('No picture: matplotlib is not installed; pip install ".[report]"')
        return
    from lossodyssey.data.adopt import preview
    from lossodyssey.report.figures.sheet import contact_sheet
    from lossodyssey.report.overlays import Overlay

    shown = [Overlay(case.name, case.image, case.labels, None, case.pixel) for case in preview(found)]
    names = {label: name for label, name in found.decision.classes.items() if label > 0}
    if found.decision.ignore is not None:
        names[found.decision.ignore] = "ignored"
    with writing(path) as draft:
        contact_sheet(shown, names, _colours(found)).savefig(draft, format="png", dpi=110)
    typer.echo(f"Some cases with the outlines of their masks: {path}")


def _colours(found: Understanding) -> dict[int, str]:
    """Return the colours of coloured masks except those too dark to be seen on an image."""
    rule = found.decision.rule
    if rule.kind != "colours":
        return {}
    codes = {label: f"#{int(colour):06x}" for colour, label in rule.table.items() if label > 0}
    return {label: code for label, code in codes.items() if max(bytes.fromhex(code[1:])) > DARK}
