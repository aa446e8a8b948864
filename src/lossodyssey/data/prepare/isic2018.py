"""ISIC 2018, task 1: `ISIC2018_Task1-2_Training_Input` and `ISIC2018_Task1_Training_GroundTruth`."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.prepare.pictures import picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found, paired
from lossodyssey.data.prepare.sources import Tree

PARTS = "Training|Validation|Test"
# The folder may have a suffix of a copy, such as `_x2`.
IMAGES = rf"ISIC2018_Task1-2_({PARTS})_Input[^/]*/(ISIC_\d+)\.jpe?g"
LABELS = rf"ISIC2018_Task1_({PARTS})_GroundTruth[^/]*/(ISIC_\d+)_segmentation\.png"
VALIDATION = "counted as training cases, as there are two parts here: images of the challenge's validation part, {}"


def find(tree: Tree) -> Finding:
    """Find the images of all parts; if the challenge's test part is there, its cases are the test cases."""
    images = {m[2].upper(): m for m in tree.find(IMAGES)}
    labels = {m[2].upper(): m.path for m in tree.find(LABELS)}
    names, notes = paired({name: match.path for name, match in images.items()}, labels, "image")
    cases = [Found(name, (images[name].path,), (labels[name],), part=images[name][1].lower()) for name in names]
    parts = [found.part for found in cases]
    if "test" not in parts:
        return Finding([replace(found, part="") for found in cases], notes)
    if "validation" in parts:
        notes += (VALIDATION.format(parts.count("validation")),)
    return Finding([replace(found, part="test" if found.part == "test" else "training") for found in cases], notes)


RECIPES = (
    picture_recipe(
        "ISIC2018",
        number=206,
        layout=(
            "ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg and "
            "ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png, likewise Validation and Test"
        ),
        needs=(IMAGES, LABELS),
        find=find,
    ),
)
