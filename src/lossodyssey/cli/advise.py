"""`lossodyssey advise`: which losses to try on a data set, and the comparison that settles it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markdown import Markdown

from lossodyssey.atomic import write_text
from lossodyssey.cli.data_fingerprint import measured
from lossodyssey.cli.folders import read_once
from lossodyssey.cli.width import wide

if TYPE_CHECKING:
    from lossodyssey.bench.plan import Plan
    from lossodyssey.data import Dataset
    from lossodyssey.guide.advice import Advice

RATES = (1e-1, 3e-2, 1e-2, 3e-3)
STEPS = (750, 1500)
ENOUGH = 30
"""The number of held-out patients from which on one division suffices; with fewer all are scored, in folds."""
FOLDS = 5


def advise(
    dataset: Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")],
    also: Annotated[
        list[str] | None,
        typer.Option(help="What no label map shows: noisy, misses, borders, probabilities; repeat."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the plan that would settle it to this file.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page as plain Markdown.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets; else the variable LOSSODYSSEY_DATA, then the user's cache."),
    ] = None,
) -> None:
    """Select a few losses to try on a data set, with reasons, evidence, measures, and a plan that compares them.

    A folder of images and masks serves as it is. Every case is read once, to measure imbalance, sizes, pieces and
    shapes; the result is kept in the user's cache.
    A proposal is a guess that says what it rests on: the plan is what answers.

    Examples:

    `lossodyssey advise Task04_Hippocampus -o plan.yaml`

    `lossodyssey advise ~/data/lesions --also misses --also noisy`
    """
    from lossodyssey.guide.advice import advise as proposed
    from lossodyssey.guide.advice_text import as_markdown as page

    with read_once(dataset, data) as found:
        advice = proposed(measured(found), also or ())
        planned = plan(advice, found, dataset)
    text = f"{page(advice)}\n## What settles it\n\n{settling(advice, output, data)}\n"
    if as_markdown:
        typer.echo(text)
    else:
        wide().print(Markdown(text))
    if output:
        write(output, planned)


def settling(advice: Advice, output: Path | None, data: Path | None) -> str:
    """Say which comparison answers, and whether the data set is large enough for an answer."""
    from lossodyssey.ranking.cells import SMALLEST_SAMPLE

    units, call = advice.sheet.groups, f"lossodyssey bench {output or 'plan.yaml'} -o study"
    call += f" --data {data}" if data else ""
    lines = [
        "A plan of these losses, each with a learning rate of its own, three trainings and two budgets: "
        f"{output or '`-o plan.yaml` writes it'}. `{call} --dry-run` says how long it takes, `{call}` does it. "
        "`engine: nnunet` in place of rates and steps asks nnU-Net instead."
    ]
    if units < SMALLEST_SAMPLE:
        few = f"with {units} cases or patients, fewer than {SMALLEST_SAMPLE}, no difference can be shown"
        lines.append(f"**It cannot answer yet**: {few}.")
    return "\n\n".join(lines)


def plan(advice: Advice, dataset: Dataset, name: str) -> Plan:
    """Return the comparison of the proposed losses on a data set, called `name` on the command line."""
    from lossodyssey.bench.plan import Plan, PlannedData, PlannedLoss
    from lossodyssey.data.divisions import given_division

    units = advice.sheet.groups
    few = units < ENOUGH * FOLDS and given_division(dataset) is None
    return Plan(
        datasets=(PlannedData(str(Path(name).resolve()) if Path(name).is_dir() else name),),
        losses=tuple(PlannedLoss((each.loss,)) for each in advice.proposals),
        name=f"{advice.sheet.dataset}, advised",
        learning_rates=RATES,
        folds=min(FOLDS, units) if few and units > 1 else None,
        validation=0.2,
        steps=STEPS,
        metrics=tuple(advice.measures),
    )


def write(file: Path, plan: Plan) -> None:
    """Write a plan to a file that is not there yet, or has the same text.

    Raises:
        ValueError: the file holds something else.
    """
    from lossodyssey.bench.plan_file import plan_text

    text = f"# By `lossodyssey advise`: a guess of what to compare; change it as you know better.\n{plan_text(plan)}"
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise ValueError(f"--output: {file} is there and holds something else; give another name, or remove it")
    write_text(file, text)
    typer.echo(str(file))
