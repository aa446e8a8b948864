"""Training without nnU-Net's search for trainers: any loss expression, one process, CPU or GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from nnunetv2.paths import nnUNet_preprocessed, nnUNet_results
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

from lossodyssey.integrations.nnunet.recipe import Recipe
from lossodyssey.integrations.nnunet.trainer import LossTrainer, trainer_class


def train(
    dataset: str,
    configuration: str,
    fold: int | str,
    recipe: Recipe,
    *,
    plans: str = "nnUNetPlans",
    device: str = "auto",
    resume: bool = False,
    validate: bool = True,
) -> Path:
    """Train one fold as `nnUNetv2_train` does; return the folder of the results.

    `dataset` is a number or a name such as `Dataset004_Hippocampus`, planned and preprocessed by nnU-Net. ValueError
    and FileNotFoundError say what is missing, or why the loss does not fit.
    """
    trainer = make_trainer(dataset, configuration, fold, recipe, plans=plans, device=device, resume=resume)
    run(trainer, resume=resume)
    if validate:
        trainer.perform_actual_validation()
    return Path(trainer.output_folder)


def run(trainer: LossTrainer, *, resume: bool) -> None:
    """Train from the beginning, or from the last checkpoint where there is one."""
    maybe_load_checkpoint(trainer, resume, validation_only=False)
    trainer.run_training()


def make_trainer(
    dataset: str,
    configuration: str,
    fold: int | str,
    recipe: Recipe,
    *,
    plans: str = "nnUNetPlans",
    device: str = "auto",
    resume: bool = False,
) -> LossTrainer:
    """Return the trainer of a recipe for a preprocessed data set, not yet initialised."""
    folder = _preprocessed(dataset)
    content = _read(folder / f"{plans}.json", "plan and preprocess the data first: nnUNetv2_plan_and_preprocess")
    if configuration not in content["configurations"]:
        known = ", ".join(content["configurations"])
        raise ValueError(f"{folder / plans}.json: no configuration {configuration!r}; there are {known}")
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    return trainer_class(recipe)(
        plans=content | {"continue_training": resume},
        configuration=configuration,
        fold=fold,
        dataset_json=_read(folder / "dataset.json", "preprocessing writes it"),
        device=torch.device(chosen),
    )


def _preprocessed(dataset: str) -> Path:
    for variable in (nnUNet_preprocessed, nnUNet_results):
        if not variable.is_set():
            raise ValueError(f"the variable {variable.env_var_name} is not set; nnU-Net keeps its files there")
    try:
        name = maybe_convert_to_dataset_name(int(dataset) if dataset.isdigit() else dataset)
    except RuntimeError as error:
        raise ValueError(f"data set {dataset!r}: {str(error).splitlines()[0]}") from None
    return Path(str(nnUNet_preprocessed)) / str(name)


def _read(path: Path, hint: str) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {hint}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
