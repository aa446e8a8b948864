"""The package's own engine: a small U-Net on cases that are cached in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import torch

from lossodyssey.bench.cases import check_preprocessing, preparation_notes, read_training
from lossodyssey.bench.job import Job, OnProgress, Progress, Segmented, Trained
from lossodyssey.bench.watching import validator, watcher
from lossodyssey.core.class_weights import needs_counts, with_class_weights
from lossodyssey.core.fields import check_names
from lossodyssey.core.text import parse
from lossodyssey.data import Case, Dataset, read_case
from lossodyssey.data.patches import CachedCase
from lossodyssey.data.preprocessing import check_sized
from lossodyssey.data.unannotated import partly_annotated
from lossodyssey.data.wrong_labels import wrongly_labelled
from lossodyssey.training.batches import Batch
from lossodyssey.training.checkpoint import BrokenCheckpoint, read_checkpoint
from lossodyssey.training.device import choose_device, prepare_process
from lossodyssey.training.inference import segment, segment_with_probabilities
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import Outcome, fit
from lossodyssey.training.truth import count_targets

MEASURED_CASES = 4


@dataclass(frozen=True, slots=True)
class Light:
    """Trains as `choices` say; the same settings, loss, data and seed give the same bits on the CPU."""

    choices: Settings

    name: ClassVar[str] = "light"
    packages: ClassVar[tuple[str, ...]] = ("monai",)

    @property
    def settings(self) -> dict[str, Any]:
        """All choices by name, except those of later versions at their defaults: see `Settings.identity`."""
        return self.choices.identity()

    @property
    def note(self) -> str:
        """A sentence on the work before the first run, where there is any, and one on the equal start of all runs."""
        first = "Cases are resampled or cropped once, before the first run.\n" if self._moves_voxels else ""
        return f"{first}Runs of one seed start from the same weights and see the same batches; only the loss differs."

    @property
    def _moves_voxels(self) -> bool:
        return self.choices.spacing != "original" or self.choices.crop

    @property
    def device(self) -> str:
        """auto, cpu, cuda or cuda:1."""
        return self.choices.device

    @property
    def threads(self) -> int:
        """Processor threads of one run."""
        return self.choices.threads

    @property
    def steps(self) -> int:
        """Steps of one run."""
        return self.choices.steps

    def but(self, **choices: Any) -> Light:
        """Return the engine with other settings.

        Raises:
            ValueError: a setting is unknown, with the nearest name, or a value is not valid.
        """
        check_names("engine light", list(choices), [field.name for field in fields(Settings)], "setting")
        return Light(replace(self.choices, **choices))

    def check(self, dataset: Dataset) -> None:
        """Raise ValueError for a device that is not there, or a patch whose axes are not the data's."""
        choose_device(self.choices)
        first = read_case(dataset, dataset.cases[0])
        axes = first.image.ndim - 1
        if self.choices.patch and len(self.choices.patch) != axes:
            expected = f"{axes} axes, as the cases of {dataset.name} have"
            raise ValueError(f"settings: patch is {self.choices.patch}; expected {expected}")
        check_preprocessing(self.choices, dataset, axes)
        self._shown(dataset, ())
        if self.choices.spacing != "original":
            check_sized(first, dataset.cases[0].images[0])

    def measure(self, job: Job, steps: int) -> float | None:
        """Return the median seconds of `steps` steps on a few training cases; nothing is written."""
        device = prepare_process(self.choices)
        choices = replace(self.choices, steps=steps)
        shown = replace(job, dataset=self._shown(job.dataset, [case.name for case in job.training]))
        settings, cases = read_training(choices, shown, job.training[:MEASURED_CASES], device, kept=False)
        ends: list[float] = []
        _fit(replace(job, start=None), settings, cases, lambda progress: ends.append(time.perf_counter()), saved=False)
        # The first steps compile, allocate and warm caches.
        return median(later - earlier for earlier, later in pairwise(ends[1:])) if len(ends) > 2 else None

    def prepare(self, job: Job) -> None:
        """Prepare the cases that runs would all resample or crop; other cases are read by each run."""
        if self._moves_voxels:
            names = [case.name for case in job.training]
            wrong = wrongly_labelled(names, self.choices.wrong_labels)
            shown = replace(job, dataset=self._shown(job.dataset, names))
            read_training(replace(self.choices, memory="mapped"), shown, job.training, torch.device("cpu"), wrong)

    def train(self, job: Job, on_progress: OnProgress) -> Trained:
        """Train on the cases that are not held out."""
        _check_start(job)
        device = prepare_process(self.choices)
        training = job.training
        names = [case.name for case in training]
        wrong = wrongly_labelled(names, self.choices.wrong_labels)
        shown = replace(job, dataset=self._shown(job.dataset, names))
        settings, cases = read_training(self.choices, shown, training, device, wrong)
        written = job.dataset.written

        notes = (
            *_left_out(training, cases),
            *_mislabelled(wrong),
            *_unannotated(shown.dataset, names),
            *preparation_notes(settings, job.dataset, cases),
        )
        try:
            outcome = _fit(job, settings, cases, on_progress)
        except BrokenCheckpoint as broken:
            if broken.path != _checkpoint(job):
                raise
            notes += (f"checkpoint.pt is {broken.problem}; trained from the beginning",)
            _checkpoint(job).unlink()
            outcome = _fit(job, settings, cases, on_progress)
        return Trained(
            segment=lambda volume: segment(outcome.network, volume.image, settings, written, volume.spacing),
            with_probabilities=lambda volume: Segmented(
                *segment_with_probabilities(outcome.network, volume.image, settings, written, volume.spacing)
            ),
            settings=asdict(settings),
            device=device,
            curve=outcome.curve,
            reason=outcome.reason,
            clipped=outcome.clipped,
            seconds=outcome.seconds,
            parts=outcome.parts,
            watched=outcome.watched,
            notes=(*notes, *(f"{name} was trained to {value:.4g}" for name, value in outcome.trained.items())),
        )

    def _shown(self, dataset: Dataset, names: Sequence[str]) -> Dataset:
        """Return the data set as training sees it: with classes taken out of these cases, where that was asked for."""
        share = self.choices.unannotated
        return partly_annotated(dataset, names, share) if share else dataset

    def saved(self, job: Job) -> bool:
        """Return whether the checkpoint is that of this run, after its last step."""
        try:
            state = read_checkpoint(_checkpoint(job), "cpu", identity(job.digest, job.seed))
        except BrokenCheckpoint:
            return False
        return len(state.get("curve", ())) >= self.steps


def identity(digest: str, seed: int) -> str:
    """Return a text that tells the checkpoint of one run from that of another."""
    return f"{digest}-seed{seed}"


def _checkpoint(job: Job) -> Path:
    return job.folder / "checkpoint.pt"


def _check_start(job: Job) -> None:
    """Raise FileNotFoundError where the network to begin with is not there, as in runs taken from an archive."""
    if job.start and not _checkpoint(job.start).is_file():
        folder = job.start.folder
        raise FileNotFoundError(
            f"{_checkpoint(job.start)}: the network that {job.label} begins with is not there, as archives of records "
            f"hold none; remove {folder} and give the command without --from, so that it is trained again"
        )


def _left_out(training: Sequence[Case], cached: Sequence[CachedCase]) -> tuple[str, ...]:
    """Name the training cases that nothing can be learnt from."""
    names = sorted({case.name for case in training} - {case.name for case in cached})
    return (f"every voxel of {', '.join(names)} is ignored; trained without",) if names else ()


def _mislabelled(wrong: Sequence[str]) -> tuple[str, ...]:
    """Name the training cases whose label maps are wrong on purpose."""
    return (
        (f"trained with label maps that were shifted by a tenth of each extent: {', '.join(wrong)}",) if wrong else ()
    )


def _unannotated(dataset: Dataset, names: Sequence[str]) -> tuple[str, ...]:
    """Say in how many training cases each class is annotated, where classes were taken out on purpose."""
    if not dataset.clears:
        return ()
    by_class = zip(*(dataset.is_annotated(name) for name in names), strict=True)
    counts = [f"{target.name} in {sum(known)}" for target, known in zip(dataset.targets, by_class, strict=True)]
    return (f"trained on partial labels: of {len(names)} cases, {', '.join(counts)}",)


def _fit(
    job: Job, settings: Settings, cases: Sequence[CachedCase], on_progress: OnProgress, *, saved: bool = True
) -> Outcome:
    classes, ignore = len(job.dataset.classes), job.dataset.ignore
    regions = [region.labels for region in job.dataset.regions]
    loss, showing = parse(job.expression), _Showing(job, settings, on_progress)
    # Labels of many gigabytes are not read for losses that do not ask for their counts.
    labels = (case.labels for case in cases)
    counts = count_targets(labels, classes, regions, ignore) if needs_counts(loss) else ()
    return fit(
        # Weights by frequency are those of the cases that are trained on: held-out ones stay unseen.
        with_class_weights(loss, counts),
        cases,
        settings,
        classes=classes,
        seed=job.seed,
        regions=regions,
        ignore=ignore,
        flip_axes=job.dataset.flip_axes,
        checkpoint=_checkpoint(job) if saved else None,
        weights=_checkpoint(job.start) if job.start else None,
        watch=watcher(job, settings, on_progress) if saved else None,
        validate=validator(job, settings, on_progress),
        device=choose_device(settings),
        run=identity(job.digest, job.seed),
        on_step=showing.step,
        on_batch=showing.batch,
    )


class _Showing:
    """Reports the steps of a run; the first with a picture of its batch, where a tracker shows it."""

    def __init__(self, job: Job, settings: Settings, on_progress: OnProgress) -> None:
        self.wanted, self.total, self.tell = bool(job.loggers), settings.steps, on_progress
        self.picture: Any = None

    def batch(self, batch: Batch) -> None:
        """Draw the first batch."""
        if self.wanted:
            from lossodyssey.bench.shown import batch as drawn

            self.wanted = False
            self.picture = drawn(batch.images.float().cpu().numpy(), batch.target.cpu().numpy())

    def step(self, step: int, loss: float, rate: float) -> None:
        """Report a step."""
        self.tell(Progress("training", step, self.total, loss, rate, self.picture))
        self.picture = None
