"""The training cases of a run, prepared as its settings say, and the numbers that they decide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache as once

import torch

from lossodyssey.bench.job import Job
from lossodyssey.data import Case, Dataset
from lossodyssey.data.caching import HELD, Keeping, cache
from lossodyssey.data.contents import read_contents
from lossodyssey.data.intensity import is_ct
from lossodyssey.data.memory import most_held
from lossodyssey.data.patches import CachedCase, patch_shape
from lossodyssey.data.places import prepared_folder
from lossodyssey.data.statistics import gather
from lossodyssey.data.store import Store
from lossodyssey.training.settings import Settings

TOLD = 1.5
"""Ratio of spacings along an axis above which a run says that its cases were not resampled."""

CHANGED = (0.8, 1.25)
"""Share of a class's volume after preprocessing outside which a run reports it."""


def read_training(
    settings: Settings,
    job: Job,
    cases: Sequence[Case],
    device: torch.device,
    wrong: Collection[str] = (),
    *,
    kept: bool = True,
) -> tuple[Settings, list[CachedCase]]:
    """Prepare cases; return the settings with the numbers that the cases decided, and the cases.

    Where they are not `kept`, nothing is written and all are held in memory.

    Raises:
        ValueError: a case cannot be trained on, see `cache`, or the settings do not fit the data.
        OSError: the cache for prepared cases cannot be written, or its disk is full.
    """
    digests = once(lambda: read_contents(job.dataset, job.memory).digests)
    store = Store(prepared_folder(job.runs.parent / "prepared"), digests) if kept else None
    settings = decided(settings, job.dataset, cases, wrong, store)
    keeping = Keeping(store, _most(settings, device)) if store else None
    found = cache(job.dataset, cases, device, wrong, settings.preprocessing(), keeping)
    return replace(settings, patch=settings.patch or patch_shape(found, settings.divisor)), found


def _most(settings: Settings, device: torch.device) -> int:
    return most_held(device) if settings.memory == "auto" else {"held": HELD, "mapped": 0}[settings.memory]


def decided(
    settings: Settings, dataset: Dataset, cases: Sequence[Case], wrong: Collection[str] = (), store: Store | None = None
) -> Settings:
    """Return settings with the spacing and the intensities that the training cases decide; scored ones are not read."""
    by_set = [settings.intensity == "ct" or (settings.intensity == "auto" and is_ct(name)) for name in dataset.channels]
    asked = any(by_set) and settings.intensities is None
    facts = gather(dataset, cases, wrong, store) if asked or settings.spacing == "median" else None
    if facts and settings.spacing == "median":
        settings = replace(settings, spacing=facts.median_spacing())
    if settings.intensity != "case" and settings.intensities is None:
        rows = facts.intensities(by_set) if facts and asked else ((),) * len(by_set)
        settings = replace(settings, intensities=rows)
    return settings


def check_preprocessing(settings: Settings, dataset: Dataset, axes: int) -> None:
    """Raise ValueError for settings of preprocessing that do not fit the axes or channels of the data."""
    if not isinstance(settings.spacing, str) and len(settings.spacing) != axes:
        raise ValueError(
            f"settings: spacing is {settings.spacing}; expected {axes} numbers, one for each axis of {dataset.name}"
        )
    if settings.intensities is not None and len(settings.intensities) != len(dataset.channels):
        raise ValueError(
            f"settings: intensities has {len(settings.intensities)} entries; expected one for each channel of "
            f"{dataset.name}: {', '.join(dataset.channels)}"
        )


def preparation_notes(settings: Settings, dataset: Dataset, cases: Sequence[CachedCase]) -> tuple[str, ...]:
    """Describe what preprocessing did to the training cases, or left undone, that bears on the result."""
    return (*_spacings_note(settings, cases), *_volumes_note(dataset, cases))


def _spacings_note(settings: Settings, cases: Sequence[CachedCase]) -> tuple[str, ...]:
    if settings.spacing != "original" or len({len(case.spacing) for case in cases}) > 1:
        return ()
    sides = list(zip(*(case.spacing for case in cases), strict=True))
    axis = max(range(len(sides)), key=lambda number: max(sides[number]) / min(sides[number]))
    low, high = min(sides[axis]), max(sides[axis])
    if high <= TOLD * low:
        return ()
    return (
        f"voxel sizes of the training cases differ, along axis {axis} from {low:g} to {high:g} mm, and the cases were "
        "not resampled; spacing: median resamples them",
    )


def _volumes_note(dataset: Dataset, cases: Sequence[CachedCase]) -> tuple[str, ...]:
    names = [target.name for target in dataset.targets]
    shares = [(share, name, case.name) for case in cases for share, name in zip(case.kept, names, strict=False)]
    told = sorted(each for each in shares if each[0] < CHANGED[0] or each[0] > CHANGED[1])
    if not told:
        return ()
    share, name, case = told[0] if told[0][0] < CHANGED[0] else told[-1]
    return (
        f"cropping and resampling change the volume of a class by more than a fifth in {len(told)} places, most of all "
        f"{name} in case {case}, to {share:.0%}: its structures are thinner than the voxels, or lie where every "
        "channel is 0; a smaller spacing, or no crop, keeps them",
    )
