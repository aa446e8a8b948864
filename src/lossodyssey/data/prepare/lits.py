"""LiTS, the Liver Tumor Segmentation Challenge: `volume-0.nii` and `segmentation-0.nii` in two batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from lossodyssey.data.prepare.recipe import Finding, Found, Recipe, paired
from lossodyssey.data.prepare.sources import Tree

NEEDS = (r"volume-\d+\.nii(?:\.gz)?", r"segmentation-\d+\.nii(?:\.gz)?")
TUMOUR: Mapping[int, int] = MappingProxyType({0: 0, 1: 0, 2: 1})
LIVER: Mapping[int, int] = MappingProxyType({0: 0, 1: 1, 2: 1})


def find(tree: Tree, relabel: Mapping[int, int] | None = None) -> Finding:
    """Find the training cases by number; test volumes have no labels and another name."""
    images = tree.paths(r"volume-(\d+)\.nii(?:\.gz)?")
    labels = tree.paths(r"segmentation-(\d+)\.nii(?:\.gz)?")
    names, notes = paired(images, labels)
    cases = [
        Found(f"lits_{int(n):03d}", (images[n],), (labels[n],), source="LiTS", relabel=relabel or {}) for n in names
    ]
    return Finding(cases, notes)


LITS = Recipe(
    name="LiTS",
    number=29,
    description="Liver and its tumours in CT",
    origin="https://competitions.codalab.org/competitions/17094",
    layout="volume-0.nii and segmentation-0.nii, in Training_Batch1.zip and Training_Batch2.zip or their folders",
    needs=NEEDS,
    find=find,
    classes=("liver", "tumour"),
    channels=("CT",),
    cases=131,
    same_grid=True,
    flip_axes=(0, 1, 2),
    licence="CC BY-NC-ND 4.0",
    reference="Bilic et al. 2023, Medical Image Analysis 84:102680",
    traps=(
        "volumes 28 to 47 of LiTS have headers that say 1 mm along every axis, which they are not: distances in mm are "
        "wrong there (the Decathlon's Task03_Liver has the same scans)",
    ),
)

RECIPES = (
    LITS,
    replace(
        LITS,
        name="LiTS_tumour",
        number=30,
        description="Tumours of the liver in CT; the liver is background",
        find=partial(find, relabel=TUMOUR),
        classes=("tumour",),
    ),
)
