"""Folders of images and labels: the Decathlon (MSD) layout and nnU-Net's raw layout, read alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lossodyssey.data.annotated import read_annotated
from lossodyssey.data.catalogue import BY_NAME, Entry
from lossodyssey.data.dataset_json import (
    IGNORE,
    ignored_label,
    read_channels,
    read_classes,
    read_flip_axes,
    read_names,
    read_object,
    read_regions,
)
from lossodyssey.data.files import channel_files, found_cases, inside, referenced
from lossodyssey.data.grids import has_own_size, is_volume, stem
from lossodyssey.data.pixel_sizes import read_spacing
from lossodyssey.data.regions import Region
from lossodyssey.data.sources import read_sources


@dataclass(frozen=True)
class Case:
    """One image, in one file or one file per channel, with its label file.

    Cases of the same non-empty `group` (one patient, near duplicates) must not be parted by a split. `source` names
    where it comes from, "" where that is not known.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | None
    group: str = ""
    source: str = ""


@dataclass(frozen=True)
class Dataset:
    """Cases that share classes (0 is the background) and channels.

    `flip_axes` are the array axes along which mirroring keeps the meaning of the labels. Where there are `regions`,
    they are trained and scored, and `classes` name the labels that they are made of. `ignore` is the label of voxels
    that do not count, which is not a class. `annotated` says of every case with partial labels which outputs of a
    network, regions or classes with the background, are annotated in it; where it `clears`, labels of the others are
    background, and an error otherwise. `spacing` is the pixel size in mm of all its pictures, () where each file has
    its own or none.
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
    regions: tuple[Region, ...] = ()
    ignore: int | None = None
    annotated: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)
    spacing: tuple[float, ...] = ()
    clears: bool = False

    @property
    def targets(self) -> tuple[Region, ...]:
        """The targets of training and scores: the regions, or every class but 0 as a region of one label."""
        single = (Region(name, (number,), number) for number, name in self.classes.items() if number > 0)
        return self.regions or tuple(single)

    def is_annotated(self, case: str) -> tuple[bool, ...]:
        """Return whether each target is annotated in the case of that name."""
        row = self.annotated.get(case)
        return (True,) * len(self.targets) if row is None else row[-len(self.targets) :]

    @property
    def written(self) -> tuple[int, ...]:
        """The label that each region writes where it is predicted; empty without regions."""
        return tuple(region.written for region in self.regions)

    @property
    def rules(self) -> list[Any]:
        """The regions, ignored label and partial labels, which decide a result beside classes and cases; or nothing."""
        # Empty keeps the key of a run as it was before there were any of them: finished runs are still found.
        if not self.regions and self.ignore is None and not self.annotated and not self.spacing:
            return []
        rules: list[Any] = [[[list(region.labels), region.written] for region in self.regions], self.ignore]
        rules += [sorted(self.annotated.items())] if self.annotated else []
        return [*rules, {"spacing": self.spacing}] if self.spacing else rules

    @property
    def known_labels(self) -> dict[int, str]:
        """All labels that a label map may hold."""
        return self.classes if self.ignore is None else {**self.classes, self.ignore: IGNORE}


def read_dataset(folder: str | Path, absent: list[str] | None = None) -> Dataset:
    """Read `folder/dataset.json` and find all its files; no image is opened.

    Two layouts are read: MSD (`modality`, `labels` as {"1": "liver"}, `training` as a list of image and label)
    and nnU-Net raw (`channel_names`, `labels` as {"liver": 1}, images `case_0000.nii.gz`, one file per channel), also
    of version 1 and with its key `dataset`, whose files may lie anywhere. Regions (`regions_class_order`) and the
    label `ignore` are read as nnU-Net does.
    An optional key `flip_axes` lists the array axes along which mirroring keeps the meaning of the labels; without
    it the catalogue is asked, and then sets with a single foreground class allow all axes, others none.
    An optional key `spacing` is the pixel size of all pictures in mm along their array axes, such as [0.5, 0.5], see
    `pixel_sizes`.
    An optional key `annotated` lists the classes of cases with partial labels, {"case_001": ["liver"]}, or of all cases
    of a source, {"source:hospital A": ["liver"]}; an optional `source` of a `training` item, or of a case in
    `cases.json`, names where a case comes from. See `read_annotated`.
    An optional `group` of a `training` item, or of a case in `cases.json`, names the patient.

    Cases whose files are not all there are left out where a list `absent` is given, which then gets what is missing.

    Raises:
        FileNotFoundError: a file is absent, and there is no list for it.
        ValueError: anything else does not fit.
    """
    root = Path(folder)
    file = root / "dataset.json"
    settings = read_object(file)
    classes = read_classes(settings, file)
    channels = read_channels(settings, file)

    cases = _present(_cases(root, settings, file, len(channels)), file, absent)
    sources = read_sources(settings, file)
    entry = BY_NAME.get(root.resolve().name)
    return Dataset(
        name=root.resolve().name,
        root=root,
        classes=classes,
        channels=channels,
        cases=_grouped(cases, root / "cases.json", entry.group if entry else "", sources),
        flip_axes=_flip_axes(settings, file, cases[0], classes, entry),
        description=str(settings.get("description", "")),
        licence=str(settings.get("licence", settings.get("license", ""))),
        reference=str(settings.get("reference", "")),
        regions=read_regions(settings, file),
        ignore=ignored_label(read_names(settings, file)),
        annotated=read_annotated(settings, file, {case.name for case in cases}, sources),
        spacing=_spacing(settings, file, cases),
    )


def _cases(root: Path, settings: Mapping[str, Any], file: Path, channels: int) -> list[Case]:
    # From the most explicit to the least: nnU-Net's paths by case, MSD's list of files, names in a folder.
    if "dataset" in settings:
        where, cases = "'dataset' names no case", _named(root, settings["dataset"], file)
    elif "training" in settings and not _left_over(settings):
        where, cases = "'training' lists no case", _listed(root, settings["training"], file, channels)
    else:
        where = f"no image lies in {root / 'imagesTr'}"
        cases = [Case(*found) for found in found_cases(root, str(settings.get("file_ending", "")), file)]
    if not cases:
        raise ValueError(f"{file}: {where}; a data set needs at least one image with its label")

    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise ValueError(f"{file}: case {case.name!r} occurs twice; give every case a file name of its own")
        seen.add(case.name)
    return cases


def _present(cases: Sequence[Case], file: Path, absent: list[str] | None) -> list[Case]:
    """Return the cases whose files are there; note the others in `absent`, or refuse them without it."""
    present = []
    for case in cases:
        try:
            _check_files(case, file)
            present.append(case)
        except FileNotFoundError as error:
            if absent is None:
                raise
            absent.append(str(error))
    if not present:
        raise FileNotFoundError(f"{file}: none of its {len(cases)} cases has all its files; was the folder moved?")
    return present


def _left_over(settings: Mapping[str, Any]) -> bool:
    """Return whether nnU-Net 2 would not read `training` either: there is a `file_ending`, and no list of files."""
    training = settings["training"]
    return "file_ending" in settings and not (isinstance(training, list) and any(isinstance(i, dict) for i in training))


def _named(root: Path, cases: Any, file: Path) -> list[Case]:
    """Read the cases of nnU-Net's key `dataset`: {"case": {"images": [...], "label": ...}}."""
    if not isinstance(cases, dict):
        raise ValueError(f"{file}: 'dataset' must be an object of cases with images and label, found {cases!r:.80}")
    found = []
    for name, parts in cases.items():
        images = parts.get("images") if isinstance(parts, dict) else None
        # The name becomes a file name of predictions, so it must not hold folders.
        if not isinstance(images, list) or not images or "label" not in parts or Path(name).name != name:
            raise ValueError(f"{file}: case {name!r} of 'dataset' needs 'images' and 'label', found {parts!r:.80}")
        paths = tuple(referenced(root, image, file) for image in images)
        found.append(Case(name, paths, referenced(root, parts["label"], file)))
    return found


def _listed(root: Path, training: Any, file: Path, channels: int) -> list[Case]:
    if not isinstance(training, list):
        raise ValueError(f"{file}: 'training' must be a list of {{image, label}}, found {training!r:.80}")
    return [_item(root, item, file, channels) for item in training]


def _item(root: Path, item: Any, file: Path, channels: int) -> Case:
    if not isinstance(item, dict) or "image" not in item or "label" not in item:
        raise ValueError(f"{file}: each item of 'training' needs 'image' and 'label', found {item!r:.80}")
    label = inside(root, item["label"], file)
    if isinstance(item["image"], list) and item["image"]:
        images = tuple(inside(root, image, file) for image in item["image"])
    else:
        image = inside(root, item["image"], file)
        # A label of the whole name says that the number at its end is that of the case, not of a channel.
        whole = image.is_file() and stem(image) == stem(label)
        images = (image,) if whole else channel_files(image, channels)
    return Case(stem(label), images, label, str(item.get("group", "")))


def _check_files(case: Case, file: Path) -> None:
    for role, path in [*(("image", image) for image in case.images), ("label", case.label)]:
        if path is not None and not path.is_file():
            raise FileNotFoundError(
                f"{path}: {role} of case {case.name!r} is missing; add it or take the case out of {file}"
            )


def _grouped(cases: Sequence[Case], file: Path, pattern: str, sources: Mapping[str, str]) -> tuple[Case, ...]:
    facts = read_object(file) if file.is_file() else {}
    return tuple(replace(case, group=_group(case, facts, pattern), source=sources.get(case.name, "")) for case in cases)


def _group(case: Case, facts: Mapping[str, Any], pattern: str) -> str:
    # The user's own files win over the pattern of the catalogue, cases.json over dataset.json.
    fact = facts.get(case.name)
    if isinstance(fact, dict) and "group" in fact:
        return str(fact["group"])
    match = re.match(pattern, case.name) if pattern else None
    return case.group or (match[1] if match else "")


def _flip_axes(
    settings: Mapping[str, Any], file: Path, case: Case, classes: Mapping[int, str], entry: Entry | None
) -> tuple[int, ...]:
    dims = 3 if is_volume(case.images[0]) else 2
    if "flip_axes" in settings:
        return read_flip_axes(settings, file, dims)
    if entry is not None and entry.flip_axes is not None:
        return entry.flip_axes
    # One foreground class cannot be taken for another in the mirror; several may be told apart by their side.
    return tuple(range(dims)) if len(classes) == 2 else ()


def _spacing(settings: Mapping[str, Any], file: Path, cases: Sequence[Case]) -> tuple[float, ...]:
    if "spacing" not in settings:
        return ()
    own = next((image for case in cases for image in case.images if has_own_size(image)), None)
    if own is not None:
        raise ValueError(f"{file}: 'spacing' is for pictures, and {own.name} keeps its own; leave the key out")
    return read_spacing(settings, file, 3 if is_volume(cases[0].images[0]) else 2)
