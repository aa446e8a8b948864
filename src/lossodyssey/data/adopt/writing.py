"""The data set on disk: links to what is as it should be, and new files for the rest."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy

from lossodyssey.data.adopt.facts import ImageFacts, read_quietly
from lossodyssey.data.adopt.labels import case_labels
from lossodyssey.data.adopt.reading import OnProgress, Read
from lossodyssey.data.adopt.understanding import Understanding
from lossodyssey.data.dataset_json import IGNORE
from lossodyssey.data.files import CHANNEL
from lossodyssey.data.grids import ending, has_own_size, size_file, write_array, written_ending
from lossodyssey.data.layouts import Dataset, read_dataset
from lossodyssey.data.places import making
from lossodyssey.data.volumes import read_case

RECORD = "adopted.json"
HEADERS = (".mhd", ".nhdr")
"""Files whose values lie in a second one, which a link would not reach."""


def write(
    found: Understanding, folder: Path, *, copy: bool = False, on_progress: OnProgress = lambda done, total: None
) -> Dataset:
    """Write the data set as a new folder, whole or not at all, and read it back.

    Files are linked where they can stay as they are, or copied with `copy`.

    Raises:
        ValueError: the folder exists, something of the data set is undecided, or it cannot be read back.
    """
    check_new(folder)
    if found.refused:
        raise ValueError(found.refused[0])
    with making(folder) as draft:
        for name in ("imagesTr", "labelsTr"):
            (draft / name).mkdir(parents=True)
        training = []
        for number, (name, read) in enumerate(found.cases.items()):
            on_progress(number, len(found.cases))
            training.append(_write_case(found, draft, name, read, copy))
        _write_json(draft / "dataset.json", _settings(found, folder.name, training))
        if found.groups:
            _write_json(draft / "cases.json", {name: {"group": group} for name, group in found.groups.items()})
        _write_json(draft / RECORD, record(found))
        _check(draft)
    if json.loads((folder / RECORD).read_text(encoding="utf-8")) != record(found):
        raise ValueError(f"{folder}: another process made it meanwhile, of other files or choices; give another folder")
    return read_dataset(folder)


def check_new(folder: Path) -> None:
    """Refuse a folder that is there.

    Raises:
        ValueError: there is something of that name.
    """
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise ValueError(f"{folder}: exists already and is not overwritten; give another folder, or remove it")


def _check(draft: Path) -> None:
    dataset = read_dataset(draft)
    for case in dataset.cases:
        read_case(dataset, case)


def _write_case(found: Understanding, draft: Path, name: str, read: Read, copy: bool) -> dict[str, Any]:
    several = len(read.images) > 1
    images = [
        _write_image(found, draft / "imagesTr", f"{name}_{channel:04d}" if several else name, image, copy)
        for channel, image in enumerate(read.images)
    ]
    label = _write_label(found, draft / "labelsTr", name, read, copy)
    paths = [f"./imagesTr/{image}" for image in images]
    # A single text that ends in _0000 would be read as the first of several channels.
    listed = several or CHANNEL.search(name) is not None
    return {"image": paths if listed else paths[0], "label": f"./labelsTr/{label}"}


def _write_image(found: Understanding, folder: Path, name: str, image: ImageFacts, copy: bool) -> str:
    if found.harmony.keeps(image) and ending(image.path).lower() not in HEADERS:
        return _link(image.path, folder, name, copy)
    grid, _ = read_quietly(image.path)
    target = folder / (name + written_ending(image.path))
    write_array(target, found.harmony.made(grid, image), grid.affine, oriented=image.oriented)
    return target.name


def _write_label(found: Understanding, folder: Path, name: str, read: Read, copy: bool) -> str:
    masks, image = read.masks, read.images[0]
    alike = has_own_size(masks[0].path) == has_own_size(image.path)
    plain = ending(masks[0].path).lower() not in (*HEADERS, ".seg.nrrd")
    if len(masks) == 1 and not found.layers and alike and plain and found.decision.rule.keeps(masks[0]):
        return _link(masks[0].path, folder, name, copy)
    labels = case_labels(read, found.decision.rule, found.layers)
    target = folder / (name + written_ending(image.path))
    kind = numpy.uint8 if labels.max(initial=0) < 256 else numpy.uint16
    write_array(target, labels.astype(kind), image.affine, oriented=image.oriented)
    return target.name


def _link(path: Path, folder: Path, name: str, copy: bool) -> str:
    """Link or copy a file, and with it the file that says the size of its pixels."""
    target = folder / (name + ending(path))
    beside = size_file(path)
    for source, new in ((path, target), *(((beside, folder / f"{name}.json"),) if beside else ())):
        if copy:
            shutil.copyfile(source, new)
        else:
            _make_link(Path(os.path.abspath(source)), new)  # noqa: PTH100
    return target.name


def _make_link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError as error:
        raise OSError(f"{target}: this disk takes no links ({error.strerror or error}); add --copy") from None


def linked(found: Understanding) -> tuple[int, int]:
    """Count the images and the masks that stay as they are."""
    harmony, rule = found.harmony, found.decision.rule
    images = sum(harmony.keeps(image) for read in found.cases.values() for image in read.images)
    masks = sum(
        len(read.masks) == 1 and not found.layers and rule.keeps(read.masks[0]) for read in found.cases.values()
    )
    return images, masks


def _settings(found: Understanding, name: str, training: list[dict[str, Any]]) -> dict[str, Any]:
    labels = {str(label): called for label, called in found.decision.classes.items()}
    if found.decision.ignore is not None:
        labels[str(found.decision.ignore)] = IGNORE
    spacing = {"spacing": list(found.choices.spacing)} if found.choices.spacing else {}
    return {
        "name": name,
        "description": f"Adopted from {found.choices.name}; {RECORD} says how it was understood",
        "modality": {str(number): channel for number, channel in enumerate(found.channels)},
        "labels": labels,
        **spacing,
        "numTraining": len(training),
        "training": training,
    }


def record(found: Understanding) -> dict[str, Any]:
    """Return what was understood, as values for a JSON file."""
    choices = {key: _plain(value) for key, value in asdict(found.choices).items() if value}
    rule = found.decision.rule
    return {
        "choices": choices,
        "rule": {"kind": rule.kind, "threshold": rule.threshold, "nearest": rule.nearest, "table": _table(found)},
        "layers": list(found.layers),
        "notes": list(found.notes),
        "doubts": list(found.doubts),
        "left_out": [[str(path), why] for path, why in found.unpaired],
        "cases": {name: dict(_files(read)) for name, read in found.cases.items()},
    }


def _files(read: Read) -> Iterator[tuple[str, Any]]:
    yield "images", [str(image.path) for image in read.images]
    yield "masks", [str(mask.path) for mask in read.masks]


def _table(found: Understanding) -> list[list[float]]:
    return [[value, label] for value, label in found.decision.rule.table.items()]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
