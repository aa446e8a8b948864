"""Folders of images and labels: the Decathlon (MSD) layout and nnU-Net's raw layout, read alike."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossodyssey.data.catalogue import BY_NAME, Entry
from lossodyssey.data.dataset_json import read_channels, read_classes, read_flip_axes, read_object
from lossodyssey.data.grids import stem


@dataclass(frozen=True)
class Case:
    """One image, in one file or one file per channel, with its label file.

    Cases of the same non-empty `group` (one patient, near duplicates) must not be parted by a split.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | None
    group: str = ""


@dataclass(frozen=True)
class Dataset:
    """Cases that share classes (0 is the background) and channels.

    `flip_axes` are the array axes along which mirroring keeps the meaning of the labels.
    """

    name: str
    root: Path
    classes: dict[int, str]
    channels: tuple[str, ...]
    cases: tuple[Case, ...]
    flip_axes: tuple[int, ...] = ()
    description: str = ""
    licence: str = ""
    reference: str = ""


def read_dataset(folder: str | Path) -> Dataset:
    """Read `folder/dataset.json` and find all its files; no image is opened.

    Two layouts are read: MSD (`modality`, `labels` as {"1": "liver"}, `training` as a list of image and label)
    and nnU-Net raw (`channel_names`, `labels` as {"liver": 1}, images `case_0000.nii.gz`, one file per channel).
    An optional key `flip_axes` lists the array axes along which mirroring keeps the meaning of the labels; without
    it the catalogue is asked, and then sets with a single foreground class allow all axes, others none.
    An optional `group` of a `training` item, or of a case in `cases.json`, names the patient.

    Raises FileNotFoundError for absent files and ValueError for anything else that does not fit.
    """
    root = Path(folder)
    file = root / "dataset.json"
    settings = read_object(file)
    classes = read_classes(settings, file)
    cases = _cases(root, settings, file)
    entry = BY_NAME.get(root.resolve().name)
    return Dataset(
        name=root.resolve().name,
        root=root,
        classes=classes,
        channels=read_channels(settings, file),
        cases=_grouped(cases, root / "cases.json", entry.group if entry else ""),
        flip_axes=_flip_axes(settings, file, cases[0], classes, entry),
        description=str(settings.get("description", "")),
        licence=str(settings.get("licence", settings.get("license", ""))),
        reference=str(settings.get("reference", "")),
    )


def _cases(root: Path, settings: Mapping[str, Any], file: Path) -> list[Case]:
    listed = "training" in settings
    cases = _listed(root, settings["training"], file) if listed else _found(root, settings)
    if not cases:
        where = "'training' lists no case" if listed else f"no image lies in {root / 'imagesTr'}"
        raise ValueError(f"{file}: {where}; a data set needs at least one image with its label")
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise ValueError(f"{file}: case {case.name!r} occurs twice; give every case a file name of its own")
        seen.add(case.name)
        _check_files(case, file)
    return cases


def _listed(root: Path, training: Any, file: Path) -> list[Case]:
    if not isinstance(training, list):
        raise ValueError(f"{file}: 'training' must be a list of {{image, label}}, found {training!r:.80}")
    return [_item(root, item, file) for item in training]


def _item(root: Path, item: Any, file: Path) -> Case:
    if not isinstance(item, dict) or "image" not in item or "label" not in item:
        raise ValueError(f"{file}: each item of 'training' needs 'image' and 'label', found {item!r:.80}")
    images = item["image"] if isinstance(item["image"], list) and item["image"] else [item["image"]]
    label = _inside(root, item["label"], file)
    return Case(stem(label), tuple(_inside(root, image, file) for image in images), label, str(item.get("group", "")))


def _inside(root: Path, text: Any, file: Path) -> Path:
    if not isinstance(text, str):
        raise ValueError(f"{file}: expected a file path, found {text!r:.80}")
    path = Path(os.path.normpath(text))
    if path.anchor or path.parts[:1] == ("..",):
        raise ValueError(f"{file}: path {text!r} leaves the folder of the data set; move the file inside {root}")
    return root / path


def _found(root: Path, settings: Mapping[str, Any]) -> list[Case]:
    """Cases by file names: `case.ext`, or `case_0000.ext`, `case_0001.ext`, ... with one file per channel."""
    ending = str(settings.get("file_ending", ""))
    images: dict[str, list[Path]] = {}
    for path in sorted((root / "imagesTr").glob(f"[!.]*{ending}")):
        name = stem(path)
        images.setdefault(re.sub(r"_\d{4}$", "", name) if ending else name, []).append(path)
    return [Case(name, tuple(paths), _label_of(root, name, paths[0])) for name, paths in images.items()]


def _label_of(root: Path, name: str, image: Path) -> Path:
    return root / "labelsTr" / (name + image.name.removeprefix(stem(image)))


def _check_files(case: Case, file: Path) -> None:
    for role, path in [*(("image", image) for image in case.images), ("label", case.label)]:
        if path is not None and not path.is_file():
            raise FileNotFoundError(
                f"{path}: {role} of case {case.name!r} is missing; add it or take the case out of {file}"
            )


def _grouped(cases: Sequence[Case], file: Path, pattern: str) -> tuple[Case, ...]:
    facts = read_object(file) if file.is_file() else {}
    return tuple(Case(case.name, case.images, case.label, _group(case, facts, pattern)) for case in cases)


def _group(case: Case, facts: Mapping[str, Any], pattern: str) -> str:
    fact = facts.get(case.name)
    if isinstance(fact, dict) and "group" in fact:
        return str(fact["group"])
    match = re.match(pattern, case.name) if pattern else None
    return case.group or (match[1] if match else "")


def _flip_axes(
    settings: Mapping[str, Any], file: Path, case: Case, classes: Mapping[int, str], entry: Entry | None
) -> tuple[int, ...]:
    dims = 3 if ".nii" in case.images[0].name else 2
    if "flip_axes" in settings:
        return read_flip_axes(settings, file, dims)
    if entry is not None and entry.flip_axes is not None:
        return entry.flip_axes
    # One foreground class cannot be taken for another in the mirror; several may be told apart by their side.
    return tuple(range(dims)) if len(classes) == 2 else ()
