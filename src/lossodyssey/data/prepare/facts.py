"""The files that describe a prepared set: dataset.json, cases.json and a manifest with checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossodyssey import __version__
from lossodyssey.atomic import write_text
from lossodyssey.data.dataset_json import IGNORE
from lossodyssey.data.layouts import Case
from lossodyssey.data.prepare.recipe import Found, Recipe
from lossodyssey.data.prepare.sources import Progress, Tree, file_digest

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Written:
    """A case in its place: the names of its files below `images` and `labels` of its part."""

    found: Found
    images: tuple[str, ...]
    label: str
    part: str
    source: str

    def case(self, root: Path) -> Case:
        """Return the case as the reader of data sets has it."""
        images = tuple(root / f"images{self.part}" / name for name in self.images)
        return Case(self.found.name, images, root / f"labels{self.part}" / self.label, self.found.group)


def write_facts(recipe: Recipe, written: Sequence[Written], root: Path, form: str) -> None:
    """Write dataset.json and cases.json."""
    training = [case for case in written if case.part == "Tr"]
    settings: dict[str, Any] = {
        "name": recipe.name,
        "description": recipe.description,
        "reference": recipe.reference,
        "licence": recipe.licence,
        "numTraining": len(training),
    }
    channels = {str(number): name for number, name in enumerate(recipe.channels)}
    if form == "msd":
        settings |= {"modality": channels, "training": [_listed(case) for case in training]}
    else:
        settings |= {"channel_names": channels, "file_ending": recipe.ending}
    settings |= _labels(recipe, form)
    if recipe.flip_axes is not None:
        settings["flip_axes"] = list(recipe.flip_axes)
    partly = {case.found.name: list(case.found.annotated) for case in training if case.found.annotated}
    if partly:
        settings["annotated"] = partly
    write_json(root / "dataset.json", settings)
    write_json(root / "cases.json", {case.found.name: _facts(case) for case in written})


def _labels(recipe: Recipe, form: str) -> dict[str, Any]:
    ignored = {IGNORE: len(recipe.classes) + 1} if recipe.ignored else {}
    if recipe.regions:
        regions = {region.name: list(region.labels) for region in recipe.regions}
        order = [region.written for region in recipe.regions]
        return {"labels": {"background": 0, **regions, **ignored}, "regions_class_order": order}
    names = {name: number for number, name in enumerate(("background", *recipe.classes))} | ignored
    return {"labels": names if form == "nnunet" else {str(number): name for name, number in names.items()}}


def _listed(case: Written) -> dict[str, Any]:
    images = [f"./imagesTr/{name}" for name in case.images]
    return {"image": images if len(images) > 1 else images[0], "label": f"./labelsTr/{case.label}"}


def _facts(case: Written) -> dict[str, Any]:
    facts = {"group": case.found.group, "source": case.found.source, **case.found.facts}
    return {key: value for key, value in facts.items() if value not in ("", None)}


def write_manifest(
    recipe: Recipe, tree: Tree, written: Sequence[Written], root: Path, more: Mapping[str, Any], progress: Progress
) -> None:
    """Write what the set was made from, by what, and the checksum of every file."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    digests = {}
    for done, path in enumerate(files, 1):
        digests[path.relative_to(root).as_posix()] = file_digest(path)
        progress("checksums", done, len(files))
    content = {
        "recipe": recipe.name,
        "lossodyssey": __version__,
        "origin": recipe.origin,
        "archives": tree.archives,
        "cases": {case.found.name: case.source for case in written},
        **more,
        "files": digests,
    }
    write_json(root / MANIFEST, content)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
