"""DRIVE: `training/images/21_training.tif`, `1st_manual/21_manual1.gif`, and `mask/` with the field of view.

Pixels outside the field of view hold no retina and are left out of published scores, so they get the label `ignore`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy

from lossodyssey.data.grids import Grid, read_grid
from lossodyssey.data.prepare.pictures import is_white, picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found
from lossodyssey.data.prepare.sources import Tree

IMAGES = r"(training|test)/images/(\d+)_(?:training|test)\.(?:tiff?|png)"
VESSELS = r"(training|test)/1st_manual/(\d+)_manual1\.(?:gif|png|tiff?)"
VIEWS = r"(training|test)/mask/(\d+)_(?:training|test)_mask\.(?:gif|png|tiff?)"
OUTSIDE = 2
NOTE = "pixels outside the field of view are labelled `ignore`: they train nothing and are not scored"

Key = tuple[str, str]


def find(tree: Tree) -> Finding:
    """Find the images that have vessels and a field of view; today's archive has no vessels of its test images."""
    images, vessels, views = (_by_key(tree, pattern) for pattern in (IMAGES, VESSELS, VIEWS))
    whole = [key for key in images if key in vessels and key in views]
    left = [number for part, number in images if (part, number) not in whole]
    notes = (NOTE,) * bool(whole)
    if left:
        notes += (
            f"left out, without vessels or field of view: {len(left)} of {len(images)} images, {', '.join(left[:8])}",
        )
    cases = [
        Found(f"drive_{number}", (images[part, number],), (vessels[part, number], views[part, number]), part=part)
        for part, number in whole
    ]
    return Finding(cases, notes)


def _by_key(tree: Tree, pattern: str) -> dict[Key, Path]:
    return {(match[1].lower(), match[2]): match.path for match in tree.find(pattern)}


def labels_in_view(found: Found) -> Grid:
    """Return 1 where there is a vessel, and the ignored label outside the field of view.

    Raises:
        ValueError: the two masks differ in shape, or one of them is not a mask.
    """
    vessels, view = (read_grid(path) for path in found.labels)
    inside, vessel = is_white(view), is_white(vessels)
    if inside.shape != vessel.shape:
        raise ValueError(f"{view.path}: shape {inside.shape}, but {vessel.shape} in {vessels.path.name}")
    labels = numpy.where(inside, vessel, OUTSIDE).astype(numpy.uint8)
    return replace(vessels, values=labels, colours=None)


RECIPES = (
    picture_recipe(
        "DRIVE",
        number=202,
        layout="training/images/21_training.tif, 1st_manual/21_manual1.gif, mask/21_training_mask.gif; test too",
        needs=(IMAGES, VESSELS, VIEWS),
        find=find,
        cases=40,
        read_labels=labels_in_view,
        ignored=True,
    ),
)
