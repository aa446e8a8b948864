"""The verbs of the command line, joined from one file per family."""

from __future__ import annotations

from typing import Annotated

import typer

import lossodyssey
from lossodyssey.cli import (
    advise,
    bench,
    check,
    cite,
    data,
    env,
    evaluate,
    losses,
    nnunet,
    pack,
    paper,
    power,
    rank,
    report,
    status,
    train,
)

app = typer.Typer(
    name="lossodyssey",
    help="Segmentation losses, and a benchmark that says which one to use on your data.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lossodyssey {lossodyssey.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that belong to no verb."""


app.command("list")(losses.list_losses)
app.command()(losses.show)
app.command()(advise.advise)
app.command("check-loss")(check.check_loss)
app.command()(train.demo)
app.command()(train.train)
app.command()(train.predict)
app.command()(bench.bench)
app.command(cls=evaluate.ManyValues)(evaluate.evaluate)
app.command()(rank.rank)
app.command()(report.report)
app.command()(cite.cite)
app.command()(paper.paper)
app.command()(power.power)
app.command()(status.status)
app.command()(pack.pack)
app.command()(env.env)
app.add_typer(data.app, name="data")
app.add_typer(nnunet.app, name="nnunet")
