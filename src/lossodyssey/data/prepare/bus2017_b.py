"""BUS2017, data set B (UDIAT): `original/000001.png` and `GT/000001.png`."""

from __future__ import annotations

from lossodyssey.data.prepare.pictures import by_number, picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found, paired
from lossodyssey.data.prepare.sources import Tree

FILES = r"(\d+)\.(?:png|bmp|tiff?)"


def find(tree: Tree) -> Finding:
    """Find the images by their numbers."""
    images = by_number([(m[1], m.path) for m in tree.find(rf"original/{FILES}")])
    labels = by_number([(m[1], m.path) for m in tree.find(rf"GT/{FILES}")])
    names, notes = paired(images, labels, "image")
    return Finding([Found(f"bus_{int(n):06d}", (images[n],), (labels[n],)) for n in names], notes)


RECIPES = (
    picture_recipe(
        "BUS2017_B",
        number=204,
        layout="original/000001.png and GT/000001.png",
        needs=(rf"original/{FILES}", rf"GT/{FILES}"),
        find=find,
        channels=("US",),
        cases=163,
    ),
)
