"""Data sets in nnU-Net's raw layout, and a small configuration of its plans."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossodyssey.atomic import write_text
from lossodyssey.data import Case, Dataset
from lossodyssey.data.dataset_json import IGNORE
from lossodyssey.data.grids import TIFF, ending, has_own_size, is_volume, read_grid, write_array, written_ending
from lossodyssey.data.nifti import SILENT
from lossodyssey.data.volumes import read_truth

SMALL_FEATURES = (8, 16, 32, 64)


def export(dataset: Dataset, folder: Path, *, training: Sequence[Case], test: Sequence[Case] = ()) -> Path:
    """Copy cases to `folder` (`nnUNet_raw/Dataset004_Hippocampus`) as nnU-Net reads them; return the folder.

    `test` goes to `imagesTs` and `labelsTs`. A ValueError names cases whose channels share one file,
    and labels that nnU-Net does not take.
    """
    check_labels(dataset)
    for part, cases in (("Tr", training), ("Ts", test)):
        for case in cases:
            _copy(case, folder, part, dataset)
    facts: dict[str, Any] = {
        "channel_names": {str(number): name for number, name in enumerate(dataset.channels)},
        "labels": _labels(dataset),
        "numTraining": len(training),
        "file_ending": _ending(training[0]),
    }
    if dataset.regions:
        facts["regions_class_order"] = list(dataset.written)
    if annotated := _annotated(dataset, [*training, *test]):
        facts["annotated"] = annotated
    write_text(folder / "dataset.json", json.dumps(facts, indent=2) + "\n")
    return folder


def _annotated(dataset: Dataset, cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return the names of the classes that are annotated in each of the cases with partial labels."""
    partial = [case.name for case in cases if case.name in dataset.annotated]
    return {case: _names(dataset, case) or ["background"] for case in partial}


def _names(dataset: Dataset, case: str) -> list[str]:
    pairs = zip(dataset.targets, dataset.is_annotated(case), strict=True)
    return [target.name for target, known in pairs if known]


def _labels(dataset: Dataset) -> dict[str, int | list[int]]:
    """Return the labels as nnU-Net wants them: 0 is called background, regions are lists."""
    labels: dict[str, int | list[int]] = {"background": 0}
    for target in dataset.targets:
        labels[target.name] = list(target.labels) if len(target.labels) > 1 else target.labels[0]
    return labels if dataset.ignore is None else {**labels, IGNORE: dataset.ignore}


def check_labels(dataset: Dataset) -> None:
    """Raise ValueError for labels that nnU-Net does not take: with gaps, or an ignored one that is not the last."""
    numbers = sorted(dataset.known_labels)
    if numbers != list(range(len(numbers))) or dataset.ignore not in (None, numbers[-1]):
        raise ValueError(
            f"{dataset.root / 'dataset.json'}: labels are {numbers}; nnU-Net takes 0, 1, 2, ... without gaps and "
            "'ignore' as the last: renumber them in the label files"
        )


def check(case: Case, channels: int) -> None:
    """Raise ValueError for a case that the raw layout cannot hold."""
    if len(case.images) != channels:
        raise ValueError(
            f"{case.images[0]}: holds all {channels} channels; nnU-Net expects one file per channel, "
            f"{case.name}_0000 and so on"
        )
    if case.label is None:
        raise ValueError(f"case {case.name!r} has no label; nnU-Net cannot train on it")


def _ending(case: Case) -> str:
    """Return the ending of a case's files, one for images and labels, of a format that nnU-Net reads.

    A stack of pages becomes NIfTI, which keeps the distance of its pages.
    """
    image = case.images[0]
    own = written_ending(image).lower()
    return ".nii.gz" if own in TIFF and is_volume(image) else own


def _copy(case: Case, folder: Path, part: str, dataset: Dataset) -> None:
    check(case, len(dataset.channels))
    assert case.label is not None
    for target in (folder / f"images{part}", folder / f"labels{part}"):
        target.mkdir(parents=True, exist_ok=True)
    for channel, image in enumerate(case.images):
        name = f"{case.name}_{channel:04d}{_ending(case)}"
        _place(image, folder / f"images{part}" / name, case, dataset.spacing)
    _place(case.label, folder / f"labels{part}" / f"{case.name}{_ending(case)}", case, dataset.spacing)


def _place(source: Path, target: Path, case: Case, spacing: tuple[float, ...]) -> None:
    """Copy a file, or write it in the format that `target` ends in where it has another.

    A picture of few bits or with a palette is written as plain bytes, because nnU-Net would read other numbers.
    """
    label = source == case.label
    if ending(source).lower() != ending(target):
        grid, truth = read_grid(source, spacing), read_truth(case, spacing)
        affine = grid.affine if grid.sized else truth.affine
        write_array(target, truth.labels if label else grid.shown, affine, oriented=grid.doubt != SILENT)
        return
    if not has_own_size(source):
        grid = read_grid(source, spacing)
        values = grid.values if label else grid.shown
        if values.ndim == 2 and values.dtype.itemsize == 1 and values.dtype.kind in "bu":
            write_array(target, values.astype(np.uint8), grid.affine)
            return
    shutil.copyfile(source, target)


def add_small_configuration(plans: Path, base: str, features: Sequence[int] = SMALL_FEATURES) -> str:
    """Add to a plans file a configuration that inherits from `base` all but its network; return its name.

    One convolution per level, with these numbers of `features`: a network for tests and processors. It shares the
    preprocessed data of `base`.
    """
    content: dict[str, Any] = json.loads(plans.read_text(encoding="utf-8"))
    configurations = content["configurations"]
    if base not in configurations:
        raise ValueError(f"{plans}: no configuration {base!r}; there are {', '.join(configurations)}")
    network = configurations[base]["architecture"]
    arguments = network["arch_kwargs"]
    levels = min(len(features), arguments["n_stages"])
    changes = {
        "n_stages": levels,
        "features_per_stage": list(features[:levels]),
        "kernel_sizes": arguments["kernel_sizes"][:levels],
        "strides": arguments["strides"][:levels],
        "n_conv_per_stage": [1] * levels,
        "n_conv_per_stage_decoder": [1] * (levels - 1),
    }
    name = f"{base}_small"
    small = {"inherits_from": base, "architecture": network | {"arch_kwargs": arguments | changes}}
    configurations[name] = small
    write_text(plans, json.dumps(content, indent=4) + "\n")
    return name
