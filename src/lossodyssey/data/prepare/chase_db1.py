"""CHASE_DB1: `Image_01L.jpg` with the vessels of two observers, `Image_01L_1stHO.png` and `Image_01L_2ndHO.png`."""

from __future__ import annotations

from lossodyssey.data.prepare.pictures import picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found, paired
from lossodyssey.data.prepare.sources import Tree

IMAGES, LABELS = r"Image_(\d+)([LR])\.(?:jpe?g|png|tiff?)", r"Image_(\d+)([LR])_1stHO\.(?:png|tiff?)"
SECOND = r"Image_\d+[LR]_2ndHO\.(?:png|tiff?)"


def find(tree: Tree) -> Finding:
    """Find both eyes of every child, with the vessels of the first observer."""
    images = {f"{m[1]}{m[2].upper()}": m.path for m in tree.find(IMAGES)}
    labels = {f"{m[1]}{m[2].upper()}": m.path for m in tree.find(LABELS)}
    names, notes = paired(images, labels, "eye")
    second = len([where for where in {*tree.files, *tree.left} if where.lower().endswith("_2ndho.png")])
    if second:
        notes += (f"left out, as those of the first observer are the truth: masks of the second observer, {second}",)
    return Finding([Found(f"chase_{n}", (images[n],), (labels[n],), group=f"child_{n[:-1]}") for n in names], notes)


RECIPES = (
    picture_recipe(
        "CHASE_DB1",
        number=203,
        layout="Image_01L.jpg and Image_01L_1stHO.png",
        needs=(IMAGES, LABELS),
        find=find,
        cases=28,
    ),
)
