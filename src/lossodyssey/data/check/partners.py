"""Whether every image has its label map and every label map its image, in `dataset.json` and in the folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lossodyssey.data.check.finding import Finding, listed
from lossodyssey.data.dataset_json import read_object
from lossodyssey.data.grids import is_image, stem
from lossodyssey.data.layouts import Dataset


def absent_files(missing: Iterable[str]) -> list[Finding]:
    """Make errors of the files that cases of the data set lack."""
    return [
        Finding("error", "partners", (), f"{problem}; the case is left out of this check", "add the file, or unlist it")
        for problem in missing
    ]


def partners(dataset: Dataset) -> list[Finding]:
    """Find files in the folders of images and labels that no case uses, and images that are used twice."""
    used = {path.resolve() for case in dataset.cases for path in (*case.images, *([case.label] if case.label else []))}
    spare = {kind: _spare(dataset.root / f"{kind}sTr", used) for kind in ("image", "label")}
    return [*_told(spare["image"], spare["label"]), *_shared(dataset), *_count(dataset)]


def _spare(folder: Path, used: set[Path]) -> list[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in files if path.is_file() and is_image(path) and path.resolve() not in used]


def _told(images: Sequence[Path], labels: Sequence[Path]) -> list[Finding]:
    names = [{stem(path).removesuffix("_0000") for path in files} for files in (images, labels)]
    both = names[0] & names[1]
    kinds = (("image", "label", images, names[0] - both), ("label", "image", labels, names[1] - both))
    found = []
    for kind, other, files, alone in kinds:
        own = [path.name for path in files if stem(path).removesuffix("_0000") in alone]
        seen = f"{len(own)} {kind} files in {kind}sTr belong to no case: {listed(own)}"
        fix = f"add the {other} and list the pair in dataset.json, or take the file away"
        found += [Finding("warning", "partners", tuple(own), seen, fix)] if own else []
    if both:
        seen = f"{len(both)} pairs of image and label are not listed in dataset.json: {listed(sorted(both))}"
        found.append(Finding("warning", "partners", tuple(sorted(both)), seen, "list them, or take them away"))
    return found


def _shared(dataset: Dataset) -> list[Finding]:
    """Find files that are the image or label of several cases."""
    users: dict[Path, list[str]] = {}
    for case in dataset.cases:
        for path in {*case.images, *([case.label] if case.label else [])}:
            users.setdefault(path.resolve(), []).append(case.name)
    return [
        Finding("error", "partners", tuple(names), f"{path.name} is a file of {len(names)} cases", "list it once")
        for path, names in users.items()
        if len(names) > 1
    ]


def _count(dataset: Dataset) -> list[Finding]:
    claimed = read_object(dataset.root / "dataset.json").get("numTraining")
    if not isinstance(claimed, int) or claimed == len(dataset.cases):
        return []
    seen = f"dataset.json says numTraining is {claimed}, but {len(dataset.cases)} cases are here"
    return [Finding("warning", "partners", (), seen, "correct the number: nnU-Net stops at it")]
