"""TopoMortar: `dataset/train/images/001.png` with labels in `accurate/`, `noisy/` and `pseudo/`.

Test images of the training images' kind and of six others must never be scored as one, so each is a data set.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial

from lossodyssey.data.prepare.pictures import picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe, paired
from lossodyssey.data.prepare.sources import Tree

IMAGES, KINDS = r"(train|val|test)/images/(\d+)\.png", r"dataset_types\.txt"
SAME = "indistr"
PART = {"train": "training", "val": "training", "test": "test"}
VALIDATION = "counted as training cases, as there are two parts here: validation images, {}"


def find(tree: Tree, labels: str, shifted: bool) -> Finding:
    """Find the images with their labels, and of the test images those of one kind.

    Args:
        tree: the sources.
        labels: the labels to train with; test images have accurate ones alone.
        shifted: whether the test images are those of other kinds.
    """
    kinds = _kinds(tree)
    images = {m[2]: m for m in tree.find(IMAGES)}
    known = {m[2]: m.path for m in tree.find(rf"(train|val)/{labels}/(\d+)\.png")}
    known |= {m[2]: m.path for m in tree.find(r"(test)/accurate/(\d+)\.png")}
    names, notes = paired({name: match.path for name, match in images.items()}, known, "image")

    parts = {n: images[n][1].lower() for n in names}
    _check_known([n for n in names if parts[n] == "test" and n not in kinds])
    kept = [n for n in names if parts[n] != "test" or (kinds.get(n) != SAME) == shifted]
    notes += _told(list(parts.values()), len(names) - len(kept), shifted)
    cases = [
        Found(f"mortar_{n}", (images[n].path,), (known[n],), part=PART[parts[n]], facts={"kind": kinds.get(n, "")})
        for n in kept
    ]
    return Finding(cases, notes)


def _kinds(tree: Tree) -> Mapping[str, str]:
    """Read the kind of every image from the archive's own table.

    Raises:
        ValueError: the table is missing or has other columns.
    """
    tables = tree.find(KINDS)
    if not tables:
        raise ValueError(
            f"dataset_types.txt is not in the sources; found {tree.top()}; it tells the kinds of test images"
        )
    with tables[0].path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"ID", "group"} <= rows[0].keys():
        raise ValueError(f"{tables[0].where}: expected a table with the columns ID and group")
    return {row["ID"]: row["group"] for row in rows}


def _check_known(unknown: Sequence[str]) -> None:
    if unknown:
        raise ValueError(
            f"dataset_types.txt does not tell the kind of test image {unknown[0]}; take the table of the same release"
        )


def _told(parts: Sequence[str], left: int, shifted: bool) -> tuple[str, ...]:
    notes = []
    if "val" in parts:
        notes.append(VALIDATION.format(parts.count("val")))
    if left:
        other = "the training images' kind" if shifted else "other kinds"
        name = "TopoMortar" if shifted else "TopoMortar_OOD"
        notes.append(f"left out, as they are the test cases of {name}: test images of {other}, {left}")
    return tuple(notes)


def _recipe(variant: str, number: int, labels: str, *, shifted: bool = False) -> Recipe:
    return picture_recipe(
        "TopoMortar",
        "" if variant == "TopoMortar" else variant,
        number=number,
        layout=f"dataset/train/images/001.png, dataset/train/{labels}/001.png and dataset/dataset_types.txt",
        needs=(IMAGES, rf"(?:train|val)/{labels}/\d+\.png", r"test/accurate/\d+\.png", KINDS),
        find=partial(find, labels=labels, shifted=shifted),
        cases=370 if shifted else 120,
    )


RECIPES = (
    _recipe("TopoMortar", 210, "accurate"),
    _recipe("TopoMortar_noisy", 211, "noisy"),
    _recipe("TopoMortar_pseudo", 212, "pseudo"),
    _recipe("TopoMortar_OOD", 213, "accurate", shifted=True),
)
