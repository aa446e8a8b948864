"""The verbs of the command line, from one file per family; only that of the verb at hand is imported.

The help needs a line of each of the others, which their files give without being run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

import lossodyssey

PLACES = {
    "list": "losses.list_losses",
    "show": "losses.show",
    "advise": "advise.advise",
    "look": "look.look",
    "check-loss": "check.check_loss",
    "demo": "train.demo",
    "train": "train.train",
    "predict": "train.predict",
    "bench": "bench.bench",
    "evaluate": "evaluate.evaluate",
    "rank": "rank.rank",
    "report": "report.report",
    "cite": "cite.cite",
    "paper": "paper.paper",
    "power": "power.power",
    "status": "status.status",
    "pack": "pack.pack",
    "env": "env.env",
}
"""The file and the function of each verb; a file may have a COMMAND, the class that reads its options."""
GROUPS = {
    "data": "Data sets: list and show the known ones, fetch or prepare them, adopt, check and divide your own.",
    "nnunet": "nnU-Net v2: train it with any loss of the atlas.",
}
"""The descriptions of the files that have several verbs."""


def join(verb: str | None = None) -> typer.Typer:
    """Return the application with one verb, or group of verbs, in working order; with all of them for None.

    The others are there by name and description only.

    Raises:
        ModuleNotFoundError: an extra that the verb needs is not installed.
    """
    app = typer.Typer(
        name="lossodyssey",
        help="Segmentation losses, and a benchmark that says which one to use on your data.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name, place in PLACES.items():
        file, function = place.split(".")
        if verb in (None, name):
            found = _file(file)
            app.command(name, cls=getattr(found, "COMMAND", None))(getattr(found, function))
        else:
            app.command(name)(_described(file, function))
    for name, words in GROUPS.items():
        app.add_typer(_file(name).app if verb in (None, name) else _empty(), name=name, help=words)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lossodyssey {lossodyssey.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that belong to no verb."""


def _file(name: str) -> Any:
    return import_module(f"lossodyssey.cli.{name}")


def _described(file: str, function: str) -> Callable[[], None]:
    """Return a function that does nothing, with the docstring of another, which is read and not imported."""
    tree = ast.parse(Path(__file__).with_name(f"{file}.py").read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)

    def nothing() -> None: ...

    nothing.__doc__ = ast.get_docstring(found)
    return nothing


def _empty() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    return app
