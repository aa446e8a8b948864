"""The command line: one file per family of verbs, joined here."""

from __future__ import annotations

import sys

import typer

from lossodyssey.cli import bench, check, data, env, evaluate, losses, nnunet, power, rank, train

app = typer.Typer(
    name="lossodyssey",
    help="Segmentation losses, and a benchmark that says which one to use on your data.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("list")(losses.list_losses)
app.command()(losses.show)
app.command("check-loss")(check.check_loss)
app.command()(train.demo)
app.command()(train.train)
app.command()(train.predict)
app.command()(bench.bench)
app.command(cls=evaluate.ManyValues)(evaluate.evaluate)
app.command()(rank.rank)
app.command()(rank.report)
app.command()(rank.paper)
app.command()(power.power)
app.command()(env.env)
app.add_typer(data.app, name="data")
app.add_typer(nnunet.app, name="nnunet")


def run() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
