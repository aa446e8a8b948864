"""nnU-Net as the second engine of the benchmark."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from lossodyssey.bench.job import Job, OnProgress, Progress, Segmented, Trained
from lossodyssey.core.fields import check_names
from lossodyssey.data import Dataset, Volume
from lossodyssey.data.grids import is_volume
from lossodyssey.data.places import making
from lossodyssey.integrations.nnunet.environment import check_version
from lossodyssey.integrations.nnunet.preprocessing import RESULTS, identifier, plan_and_preprocess, variables
from lossodyssey.integrations.nnunet.raw import check, check_labels
from lossodyssey.integrations.nnunet.recipe import Recipe
from lossodyssey.training.checkpoint import is_whole
from lossodyssey.training.device import choose_device, prepare_process
from lossodyssey.training.settings import PREPROCESSING, Settings

if TYPE_CHECKING:
    from lossodyssey.integrations.nnunet.trainer import LossTrainer


CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
PICTURE = {"spacing": (999, 1, 1)}
"""The properties of a picture as nnU-Net reads it: a volume of one slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NnUNet:
    """Trains nnU-Net on all cases that are not held out (its fold `all`), and scores its final checkpoint.

    `epochs` and `iterations` per epoch are nnU-Net's unless given; `patience` is that of protocol `odyssey`, in epochs
    without a better training loss before the rate falls, 50 unless given: too many for a short training, whose rate
    would stay as it is; `configuration` is one of its plans, by default
    3d_fullres, or 2d for pictures; `small` takes a network for processors, and leaves out the mirrored predictions.
    """

    protocol: str = "nnunet"
    learning_rate: float | None = None
    epochs: int = 1000
    iterations: int = 250
    patience: int | None = None
    configuration: str = ""
    small: bool = False
    device: str = "auto"

    name: ClassVar[str] = "nnunet"
    packages: ClassVar[tuple[str, ...]] = ("nnunetv2",)
    threads: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self.recipe("Dice()", 0)
        if self.configuration not in ("", *CONFIGURATIONS):
            known = ", ".join(CONFIGURATIONS)
            raise ValueError(f"configuration is {self.configuration!r}; expected one that stands alone: {known}")

    @property
    def settings(self) -> dict[str, Any]:
        """All fields by name; `patience` where it is given, so that runs of earlier versions are found again."""
        return {name: value for name, value in asdict(self).items() if name != "patience" or value is not None}

    @property
    def steps(self) -> int:
        """Iterations of one run."""
        return self.epochs * self.iterations

    @property
    def note(self) -> str:
        """Sentences on the work before the first run, the equal start of all runs, and a rate that cannot fall."""
        note = (
            "nnU-Net plans and preprocesses once, before the first run; what it prints goes to log.txt in nnunet/ and "
            "in each run's folder.\nRuns of one seed start from the same weights; only the loss differs."
        )
        return "\n".join(filter(None, [note, self.recipe("Dice()", 0).caveat]))

    def but(self, **choices: Any) -> NnUNet:
        """Return the engine with other settings; `steps` sets the number of epochs that comes nearest to it.

        Raises:
            ValueError: a setting is unknown, with the nearest name, or a value is not valid.
        """
        foreign = [name for name in choices if name in PREPROCESSING]
        if foreign:
            raise ValueError(f"{foreign[0]} is a setting of engine light; nnU-Net preprocesses by its own plans")
        check_names("engine nnunet", list(choices), ["steps", *(field.name for field in fields(self))], "setting")
        steps = choices.pop("steps", None)
        changed = replace(self, **choices)
        return changed if steps is None else replace(changed, epochs=max(1, round(steps / changed.iterations)))

    def recipe(self, loss: str, seed: int) -> Recipe:
        """Return the recipe by which nnU-Net trains with this loss and seed."""
        return Recipe(
            loss=loss,
            protocol=self.protocol,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            iterations=self.iterations,
            patience=self.patience,
            seed=seed,
        )

    def check(self, dataset: Dataset) -> None:
        """Raise ValueError for an absent or other nnU-Net or device, and for cases that its raw layout cannot hold."""
        check_version()
        choose_device(Settings(device=self.device))
        check_labels(dataset)
        for case in dataset.cases:
            check(case, len(dataset.channels))

    def measure(self, job: Job, steps: int) -> float | None:
        """Return None: nnU-Net plans and preprocesses for minutes before its first step."""
        return None

    def prepare(self, job: Job) -> None:
        """Plan and preprocess the training cases, unless an earlier comparison in this folder has done so."""
        folder = self._data(job)
        if not folder.is_dir():
            with making(folder) as draft:
                plan_and_preprocess(
                    job.dataset, job.training, draft, _plan(self, job.dataset), folder.parent / "log.txt"
                )

    def train(self, job: Job, on_progress: OnProgress) -> Trained:
        """Train, after its first stage where the protocol has one, and load the final checkpoint for predictions."""
        device = prepare_process(Settings(device=self.device, threads=self.threads))
        os.environ |= variables(self._data(job)) | {RESULTS: str(job.folder / "nnUNet_results")}
        if device.type == "cpu":
            # Batches are made in the process itself, in one order: reproducible, and no process competes for the cores.
            os.environ.setdefault("nnUNet_n_proc_DA", "0")

        recipe = self.recipe(job.expression, job.seed)
        notes = _discard_broken(job.folder)
        with logging(job.folder):
            if recipe.first_stage:
                self._fit(job, recipe.first_stage, device, on_progress, "first stage")
            trainer, reason = self._fit(job, recipe, device, on_progress, "training")
            predictor = None if reason else self._predictor(trainer, device)

        def segment(volume: Volume) -> NDArray[np.integer[Any]]:
            with logging(job.folder):
                return _segment(predictor, volume)

        def with_probabilities(volume: Volume) -> Segmented:
            with logging(job.folder):
                return _with_probabilities(predictor, volume)

        return Trained(
            segment=segment,
            with_probabilities=with_probabilities,
            settings=self.settings | _decided(trainer),
            device=device,
            curve=_curve(trainer, reason),
            reason=reason,
            clipped=None,
            seconds=_seconds(trainer),
            notes=notes,
        )

    def saved(self, job: Job) -> bool:
        """Return whether the run has a final checkpoint, and no checkpoint of it is damaged."""
        found = _checkpoints(job.folder)
        final = [path for path in found if path.name == "checkpoint_final.pth"]
        return bool(final) and all(map(is_whole, found))

    def _fit(
        self, job: Job, recipe: Recipe, device: torch.device, on_progress: OnProgress, phase: str
    ) -> tuple[LossTrainer, str]:
        """Train until the end, or until the loss is not finite; the second value says so."""
        from lossodyssey.integrations.nnunet import runner

        def on_step(step: int, loss: float, rate: float) -> None:
            on_progress(Progress(phase, step, self.steps, loss, rate))
            if not isfinite(loss):
                raise _Diverged(f"the loss is {loss} at step {step}")

        configuration = _plan(self, job.dataset) + "_small" * self.small
        dataset = identifier(job.dataset)
        trainer = runner.make_trainer(dataset, configuration, "all", recipe, device=str(device), resume=True)
        trainer.on_step = on_step
        try:
            runner.run(trainer, resume=True)
        except _Diverged as diverged:
            return trainer, str(diverged)
        return trainer, ""

    def _predictor(self, trainer: LossTrainer, device: torch.device) -> Any:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(use_mirroring=not self.small, device=device, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(trainer.output_folder_base, ("all",), "checkpoint_final.pth")
        return predictor

    def _data(self, job: Job) -> Path:
        """Return the folder of the preprocessed data, named after the facts that decide them."""
        cases = list(job.division.training)
        facts = json.dumps([job.dataset.name, job.data, cases, _plan(self, job.dataset), *job.dataset.rules])
        return job.runs.parent / "nnunet" / hashlib.sha256(facts.encode()).hexdigest()[:8]


def _checkpoints(run: Path) -> list[Path]:
    return sorted(run.glob("nnUNet_results/*/*/fold_*/checkpoint_*.pth"))


def _discard_broken(run: Path) -> tuple[str, ...]:
    """Remove damaged checkpoints, so that nnU-Net goes on from one that is whole, or starts again; say which."""
    broken = [path for path in _checkpoints(run) if not is_whole(path)]
    for path in broken:
        path.unlink()
    return tuple(f"{path.name} was damaged; trained on from what was left" for path in broken)


class _Diverged(Exception):
    """Ends a training whose loss is not finite."""


def _plan(engine: NnUNet, dataset: Dataset) -> str:
    pictures = not is_volume(dataset.cases[0].images[0])
    return engine.configuration or ("2d" if pictures else "3d_fullres")


@contextmanager
def logging(run: Path) -> Iterator[None]:
    """Send the output of nnU-Net to `log.txt` of the run, so that the terminal stays readable."""
    with (run / "log.txt").open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        yield


def _segment(predictor: Any, volume: Volume) -> NDArray[np.integer[Any]]:
    """Segment a volume into labels (*S).

    nnU-Net has the axes of a volume in reverse, and pictures as volumes of one slice.
    """
    if volume.image.ndim == 3:
        return np.asarray(predictor.predict_single_npy_array(volume.image[:, None], PICTURE)[0])
    properties = {"spacing": volume.spacing[::-1]}
    return np.asarray(predictor.predict_single_npy_array(volume.image.transpose(0, 3, 2, 1), properties).transpose())


def _with_probabilities(predictor: Any, volume: Volume) -> Segmented:
    """Segment a volume as `_segment` does, with the probabilities (C, *S)."""
    predict = partial(predictor.predict_single_npy_array, save_or_return_probabilities=True)
    if volume.image.ndim == 3:
        labels, probabilities = predict(volume.image[:, None], PICTURE)
        return Segmented(labels[0], np.asarray(probabilities[:, 0], np.float32))
    labels, probabilities = predict(volume.image.transpose(0, 3, 2, 1), {"spacing": volume.spacing[::-1]})
    return Segmented(labels.transpose(), np.asarray(probabilities.transpose(0, 3, 2, 1), np.float32))


def _decided(trainer: LossTrainer) -> dict[str, Any]:
    """Return the settings that the plans and the protocol decided."""
    plan = trainer.configuration_manager
    return {
        "configuration": trainer.configuration_name,
        "learning_rate": trainer.initial_lr,
        "patch": list(plan.patch_size),
        "batch": plan.batch_size,
    }


def _curve(trainer: LossTrainer, reason: str) -> list[tuple[int, float, float]]:
    """Return one point per epoch, at its last step; where the run diverged, its end."""
    losses, rates = (trainer.logger.get_value(name, step=None) for name in ("train_losses", "lrs"))
    length = trainer.num_iterations_per_epoch
    points = [
        (length * (epoch + 1), float(loss), float(rate))
        for epoch, (loss, rate) in enumerate(zip(losses, rates, strict=False))
    ]
    return [*points, (trainer.step, float("nan"), float(rates[-1]))] if reason else points


def _seconds(trainer: LossTrainer) -> float:
    """Return the time of all whole epochs, also of those before the run was killed."""
    ends, starts = (trainer.logger.get_value(f"epoch_{each}_timestamps", step=None) for each in ("end", "start"))
    return float(sum(end - start for end, start in zip(ends, starts, strict=False)))
