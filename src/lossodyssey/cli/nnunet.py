"""`lossodyssey nnunet`: the losses as trainers of nnU-Net v2."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lossodyssey.cli.imports import Imports, open_door
from lossodyssey.integrations.nnunet.environment import check_version, export_line, import_line, search_problem

app = typer.Typer(no_args_is_help=True)


@app.command()
def env(imports: Imports = None) -> None:
    """Print the line that lets nnU-Net find the losses as trainers; with `--import` those of your own too.

    Example: `eval "$(lossodyssey nnunet env)"; nnUNetv2_train 4 3d_fullres 0 -tr nnUNetTrainerLO_DiceTopK`
    """
    check_version()
    open_door(imports)
    typer.echo(export_line())
    if imports:
        typer.echo(import_line(imports))
    if problem := search_problem():
        typer.echo(f"warning: {problem}", err=True)


@app.command()
def names(imports: Imports = None) -> None:
    """List the trainers' names, one per loss of the atlas, and what may be added to them.

    Example: `lossodyssey nnunet names`
    """
    from lossodyssey import atlas
    from lossodyssey.core.door import load_offered
    from lossodyssey.integrations.nnunet.recipe import GRAMMAR, PREFIX

    open_door(imports)
    load_offered()
    for card in atlas():
        typer.echo(PREFIX + card.name)
    typer.echo(GRAMMAR)


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="Number or name of a data set that nnU-Net has preprocessed.")],
    configuration: Annotated[str, typer.Argument(help="2d, 3d_fullres, ... of its plans.")],
    fold: Annotated[str, typer.Argument(help="0 to 4, or all.")],
    loss: Annotated[str, typer.Option(help='A loss such as "Dice() + 0.5 * Focal(gamma=3.0)".')],
    protocol: Annotated[str, typer.Option(help="nnunet: SGD, deep supervision; odyssey: Adam, plateau.")] = "nnunet",
    learning_rate: Annotated[float | None, typer.Option(help="Default: the protocol's.")] = None,
    budget: Annotated[int | None, typer.Option(help="Length in epochs; default 1000.", min=1)] = None,
    iterations: Annotated[int | None, typer.Option(help="Iterations per epoch; default 250.", min=1)] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs of a stall before odyssey's rate falls; default 50.", min=1)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the weights, and of the batches of one process.")] = None,
    plans: Annotated[str, typer.Option(help="Name of the plans.")] = "nnUNetPlans",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    validate: Annotated[bool, typer.Option(help="Predict the fold's validation cases at the end.")] = True,
    imports: Imports = None,
) -> None:
    """Train nnU-Net with a loss; prediction is nnU-Net's own `nnUNetv2_predict_from_modelfolder`.

    Example: `lossodyssey nnunet train 4 3d_fullres 0 --loss "Dice() + 0.5 * Focal(gamma=3.0)" --budget 100`
    """
    check_version()
    open_door(imports)
    from lossodyssey.integrations.nnunet import runner
    from lossodyssey.integrations.nnunet.recipe import Recipe

    recipe = Recipe(
        loss=loss,
        protocol=protocol,
        learning_rate=learning_rate,
        epochs=budget,
        iterations=iterations,
        patience=patience,
        seed=seed,
    )
    if recipe.caveat:
        typer.echo(f"warning: {recipe.caveat}", err=True)
    if fold != "all" and not fold.isdigit():
        raise ValueError(f"fold is {fold!r}; expected a number such as 0, or all")
    number = fold if fold == "all" else int(fold)
    folder = runner.train(
        dataset, configuration, number, recipe, plans=plans, device=device, resume=resume, validate=validate
    )
    typer.echo(f"model: {folder}")


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(help="Name of a data set, or the path of its folder.")],
    output: Annotated[Path, typer.Argument(help="Folder to make, such as nnUNet_raw/Dataset004_Hippocampus.")],
    held_out: Annotated[str, typer.Option(help="Cases for imagesTs and labelsTs: a number, or a fraction.")] = "0",
    cases: Annotated[int | None, typer.Option(help="Take the first so many only.", min=1)] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of data sets.")] = None,
) -> None:
    """Copy a data set to nnU-Net's raw layout.

    Example: `lossodyssey nnunet export Task04_Hippocampus $nnUNet_raw/Dataset004_Hippocampus --held-out 40`
    """
    from dataclasses import replace

    from lossodyssey.cli.train import held_out_option
    from lossodyssey.data import find_dataset, split
    from lossodyssey.integrations.nnunet.raw import export as write

    found = find_dataset(dataset, data)
    found = replace(found, cases=found.cases[:cases])
    wanted = 0 if held_out.strip() == "0" else held_out_option(held_out)
    training, test = split(found, wanted) if wanted else (list(found.cases), [])
    write(found, output, training=training, test=test)
    typer.echo(f"{len(training)} cases to train on and {len(test)} to test on in {output}")


@app.command()
def small(
    plans: Annotated[Path, typer.Argument(help="The file nnUNetPlans.json among the preprocessed data.")],
    base: Annotated[str, typer.Option(help="The configuration whose data and patches it shares.")] = "3d_fullres",
) -> None:
    """Add a configuration with a small network, for tests and processors without a GPU.

    Example: `lossodyssey nnunet small $nnUNet_preprocessed/Dataset004_Hippocampus/nnUNetPlans.json`
    """
    from lossodyssey.integrations.nnunet.raw import add_small_configuration

    typer.echo(add_small_configuration(plans, base))
