"""The 2018 Data Science Bowl: `stage1_train/<id>/images/<id>.png` and a mask for every nucleus in `<id>/masks/`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from lossodyssey.data.prepare.pictures import picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found, paired
from lossodyssey.data.prepare.sources import Tree

IMAGES, MASKS = r"(\w+)/images/(\w+)\.png", r"(\w+)/masks/\w+\.png"
JOINED = "the masks of single nuclei are joined: nuclei that touch become one object"


def find(tree: Tree) -> Finding:
    """Find the images that have masks; those of the test stages have none."""
    images = {m[1]: m.path for m in tree.find(IMAGES) if m[1] == m[2]}
    masks: dict[str, list[Path]] = defaultdict(list)
    for match in tree.find(MASKS):
        masks[match[1]].append(match.path)
    names, notes = paired(images, {name: paths[0] for name, paths in masks.items()}, "image")
    return Finding([Found(f"dsb_{n}", (images[n],), tuple(masks[n])) for n in names], (*notes, JOINED))


RECIPES = (
    picture_recipe(
        "DSB2018",
        number=207,
        layout="stage1_train/<id>/images/<id>.png and stage1_train/<id>/masks/*.png",
        needs=(IMAGES, MASKS),
        find=find,
        cases=670,
    ),
)
