"""Folders of images and labels: the Decathlon (MSD) layout and nnU-Net's raw layout, read alike."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossodyssey.data.catalogue import BY_NAME

ENDINGS = (".nii.gz", ".nii", ".png", ".tif", ".tiff")


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
    settings = _read_object(file)
    classes = _classes(settings, file)
    channels = tuple(_mapping(settings, ("channel_names", "modality"), file).values())
    cases = _cases(root, settings, file)
    entry = BY_NAME.get(root.resolve().name)
    return Dataset(
        name=root.resolve().name,
        root=root,
        classes=classes,
        channels=tuple(str(channel) for channel in channels),
        cases=_grouped(cases, root / "cases.json", entry.group if entry else ""),
        flip_axes=_flip_axes(settings, file, classes, cases[0], entry.flip_axes if entry else None),
        description=str(settings.get("description", "")),
        licence=str(settings.get("licence", settings.get("license", ""))),
        reference=str(settings.get("reference", "")),
    )


def stem(path: Path) -> str:
    """File name without its image ending; ValueError for a format that is not read."""
    for ending in ENDINGS:
        if path.name.endswith(ending) and path.name != ending:
            return path.name.removesuffix(ending)
    raise ValueError(f"{path}: not an image format that can be read; expected one of {', '.join(ENDINGS)}")


def _read_object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; a data set is a folder with dataset.json, imagesTr and labelsTr"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}); mend the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a JSON object in braces, found {type(content).__name__}")
    return content


def _mapping(settings: Mapping[str, Any], keys: Sequence[str], file: Path) -> dict[str, Any]:
    wanted = " or ".join(repr(key) for key in keys)
    for key in keys:
        if key in settings:
            value = settings[key]
            if not isinstance(value, dict) or not value:
                raise ValueError(f'{file}: {key!r} must be an object such as {{"0": "..."}}, found {value!r:.80}')
            return value
    raise ValueError(f"{file}: key {wanted} is missing; add it")


def _classes(settings: Mapping[str, Any], file: Path) -> dict[int, str]:
    labels = _mapping(settings, ("labels",), file)
    if not all(key.isdecimal() for key in labels):
        labels = {_class_index(value, name, file): name for name, value in labels.items()}
    classes = {int(index): str(name) for index, name in labels.items()}
    if sorted(classes) != list(range(len(classes))) or len(classes) < 2:
        raise ValueError(
            f"{file}: 'labels' must number the classes 0 (background), 1, 2, ... without gaps, found {sorted(classes)}"
        )
    return dict(sorted(classes.items()))


def _class_index(value: Any, name: str, file: Path) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(
            f"{file}: label {name!r} must be one whole number, found {value!r:.80}; "
            "regions made of several labels are not read, list the single labels instead"
        )
    return str(value)


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
    images = item["image"] if isinstance(item["image"], list) else [item["image"]]
    label = _inside(root, item["label"], file)
    return Case(stem(label), tuple(_inside(root, image, file) for image in images), label, str(item.get("group", "")))


def _inside(root: Path, text: Any, file: Path) -> Path:
    if not isinstance(text, str):
        raise ValueError(f"{file}: expected a file path, found {text!r:.80}")
    path = Path(os.path.normpath(root / text))
    if not path.is_relative_to(os.path.normpath(root)):
        raise ValueError(f"{file}: path {text!r} leaves the folder of the data set; move the file inside {root}")
    return path


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
    facts = _read_object(file) if file.is_file() else {}
    return tuple(Case(case.name, case.images, case.label, _group(case, facts, pattern)) for case in cases)


def _group(case: Case, facts: Mapping[str, Any], pattern: str) -> str:
    fact = facts.get(case.name)
    if isinstance(fact, dict) and "group" in fact:
        return str(fact["group"])
    match = re.match(pattern, case.name) if pattern else None
    return case.group or (match[1] if match else "")


def _flip_axes(
    settings: Mapping[str, Any], file: Path, classes: Mapping[int, str], case: Case, known: tuple[int, ...] | None
) -> tuple[int, ...]:
    dims = 3 if ".nii" in case.images[0].name else 2
    if "flip_axes" not in settings:
        # One foreground class cannot be taken for another in the mirror; several may be told apart by their side.
        return known if known is not None else tuple(range(dims)) if len(classes) == 2 else ()
    axes = settings["flip_axes"]
    if not isinstance(axes, list) or not set(map(repr, axes)) <= {repr(axis) for axis in range(dims)}:
        raise ValueError(f"{file}: 'flip_axes' must list array axes from 0 to {dims - 1}, found {axes!r:.80}")
    return tuple(axes)
