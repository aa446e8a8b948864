"""One data set of a comparison; every mistake that a user can have made in it is found before the first run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import torch

from lossodyssey.bench.job import Engine
from lossodyssey.core.class_weights import with_class_weights
from lossodyssey.core.context import Context
from lossodyssey.core.heads import made_up
from lossodyssey.core.text import parse
from lossodyssey.data import Case, Dataset, read_case
from lossodyssey.data.contents import Contents, read_contents
from lossodyssey.data.divisions import Division
from lossodyssey.training.truth import build_criterion, truth_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A data set, divided, with the engine that trains on it.

    `label` is its name in tables and figures, the data set's own where it is empty. `contents` are those of its files.
    """

    dataset: Dataset
    divisions: tuple[Division, ...]
    engine: Engine
    contents: Contents
    label: str = ""

    @property
    def name(self) -> str:
        """The name in tables and figures."""
        return self.label or self.dataset.name


def open_task(
    dataset: Dataset,
    divisions: Sequence[Division],
    engine: Engine,
    expressions: Iterable[str],
    memory: Path,
    label: str = "",
) -> Task:
    """Make a task after its losses, engine and files were tried; `memory` is the file that knows the data's digests.

    Raises:
        ValueError: a loss does not fit the classes, or the engine cannot train on these data or on this machine.
    """
    for expression in expressions:
        _try(expression, dataset)
    engine.check(dataset)
    return Task(
        dataset=dataset,
        divisions=tuple(divisions),
        engine=engine,
        contents=read_contents(dataset, memory),
        label=label,
    )


def check_cases(task: Task) -> None:
    """Read every case once: this takes minutes at worst, while a broken file would end every run after hours.

    Raises:
        ValueError: a case cannot be read or has no labels, or one side of a division has only ignored voxels.
    """
    dataset = task.dataset
    ignored = {case.name for case in dataset.cases if _is_ignored(dataset, case)}
    for division in task.divisions:
        for part, names in (("to train on", division.training), ("held out", division.scored)):
            if ignored.issuperset(names):
                raise ValueError(
                    f"{dataset.name}: every voxel of the {len(names)} cases {part} has the ignored label "
                    f"{dataset.ignore}; label some of them, or hold out others"
                )


def remember(task: Task, memory: Path) -> None:
    """Write what the files hold to `memory`; warn where they changed since it was written."""
    if changed := task.contents.changed(memory):
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        warnings.warn(
            f"{changed[0]}{more} changed since the runs in {memory.parent}: every loss is trained again, on the data "
            "as they are now",
            stacklevel=3,
        )
    task.contents.remember(memory)


def _is_ignored(dataset: Dataset, case: Case) -> bool:
    """Check a case by reading it; return whether no voxel of it counts."""
    if PurePath(case.name).name != case.name:
        raise ValueError(f"{dataset.name}: case {case.name!r} cannot name a file; expected a name without slashes")
    labels = read_case(dataset, case).labels
    if labels is None:
        raise ValueError(f"{dataset.name}: case {case.name} has no labels; add them or take the case out")
    return dataset.ignore is not None and bool((labels == dataset.ignore).all())


def _try(expression: str, dataset: Dataset) -> None:
    """Compute the loss once, so that one that cannot take these classes or regions is refused at once."""
    regions = [region.labels for region in dataset.regions]
    outputs = len(regions) or len(dataset.classes)
    # Every class occurs, so that a loss meets each of them.
    labels = torch.arange(8**2).reshape(1, 8, 8) % len(dataset.classes)
    target, weight = truth_of(labels, regions, dataset.ignore)
    image, annotated = torch.zeros(1, len(dataset.channels), 8, 8), next(iter(dataset.annotated.values()), None)
    try:
        criterion = build_criterion(with_class_weights(parse(expression), [1] * outputs), regions, dataset.ignore)
        context = Context(
            weight=weight, spacing=(1.0, 1.0), image=image, annotated=annotated and torch.tensor([annotated])
        )
        logits = torch.zeros(1, outputs, 8, 8)
        criterion(logits, target, context, heads=made_up(criterion.loss, logits))
    except (ValueError, RuntimeError) as error:
        kind = "regions" if regions else "classes"
        raise ValueError(f"loss {expression} does not work with {outputs} {kind}: {error}") from None
