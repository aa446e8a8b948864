"""BUSI: `Dataset_BUSI_with_GT/benign/benign (1).png`, `benign (1)_mask.png`, and `_mask_1.png` where several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy

from lossodyssey.data.check.duplicates import find_twins, twin_clusters
from lossodyssey.data.check.sight import Sight
from lossodyssey.data.check.thumbnails import thumbnail
from lossodyssey.data.layouts import Case
from lossodyssey.data.prepare.pictures import picture_recipe, read_channels
from lossodyssey.data.prepare.recipe import Finding, Found, paired
from lossodyssey.data.prepare.sources import Tree

IMAGES = r"(benign|malignant|normal)/(?:benign|malignant|normal) \((\d+)\)\.png"
MASKS = r"(benign|malignant|normal)/(?:benign|malignant|normal) \((\d+)\)_mask(?:_\d+)?\.png"


def find(tree: Tree) -> Finding:
    """Find the images with all their masks; near duplicates, of which there are many, become groups."""
    images = {_name(m[1], m[2]): m.path for m in tree.find(IMAGES)}
    masks: dict[str, list[Path]] = defaultdict(list)
    for match in tree.find(MASKS):
        masks[_name(match[1], match[2])].append(match.path)
    names, notes = paired(images, {name: paths[0] for name, paths in masks.items()}, "image")

    groups, told = grouped({name: images[name] for name in names})
    several = sum(len(masks[name]) > 1 for name in names)
    if several:
        notes += (f"images with several masks, one for a lesion, which were joined: {several}",)
    cases = [
        Found(name, (images[name],), tuple(masks[name]), groups[name], facts={"kind": name.split("_")[1]})
        for name in names
    ]
    return Finding(cases, (*notes, *told))


def _name(kind: str, number: str) -> str:
    return f"busi_{kind.lower()}_{int(number):03d}"


def grouped(images: Mapping[str, Path]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the group of every image, the first one that it is a near duplicate of, and a note on them."""
    sights = [_sight(name, path) for name, path in images.items()]
    clusters = twin_clusters(find_twins(sights))
    groups = {name: name for name in images} | {name: names[0] for names in clusters for name in names}
    count = sum(map(len, clusters))
    note = f"groups of near duplicates: {len(clusters)} with {count} images; each stays on one side of every split"
    return groups, (note,) if clusters else ()


def _sight(name: str, path: Path) -> Sight:
    values = read_channels(Found(name, (path,), ()), 1)[0].values
    return Sight(Case(name, (path,), None), thumbnail=thumbnail(numpy.asarray(values, numpy.float64)[None], whole=True))


RECIPES = (
    picture_recipe(
        "BUSI",
        number=205,
        layout="benign/benign (1).png and benign/benign (1)_mask.png, likewise malignant and normal",
        needs=(IMAGES, MASKS),
        find=find,
        channels=("US",),
        cases=780,
    ),
)
