"""KiTS19, the Kidney Tumor Segmentation Challenge: `data/case_00000/imaging.nii.gz` and `segmentation.nii.gz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy
from numpy.typing import NDArray

from lossodyssey.data.grids import Grid, read_grid
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe, paired
from lossodyssey.data.prepare.sources import Tree


def find(tree: Tree) -> Finding:
    """Find the cases 0 to 209; the others have images alone."""
    images = tree.paths(r"(case_\d{5})/imaging\.nii(?:\.gz)?")
    labels = tree.paths(r"(case_\d{5})/segmentation\.nii(?:\.gz)?")
    names, notes = paired(images, labels)
    return Finding([Found(name, (images[name],), (labels[name],), source="KiTS19") for name in names], notes)


def alternate(cases: Sequence[Found]) -> dict[str, str]:
    """Return the parts in the experiments of the region-wise loss: even numbers train, odd ones test."""
    return {found.name: "test" if int(found.name[-5:]) % 2 else "training" for found in cases}


def labelled(label: Path) -> NDArray[numpy.bool_]:
    """Return which slices, along the first axis, hold a label."""
    kept = numpy.asarray(read_grid(label).values.any(axis=(1, 2)))
    if not kept.any():
        raise ValueError(f"{label}: no slice holds a label")
    return kept


def labelled_image(found: Found) -> Sequence[Grid]:
    """Return the slices of the image that hold a label."""
    return [_kept(read_grid(found.images[0]), labelled(found.labels[0]))]


def labelled_labels(found: Found) -> Grid:
    """Return the slices that hold a label."""
    return _kept(read_grid(found.labels[0]), labelled(found.labels[0]))


def _kept(grid: Grid, kept: NDArray[numpy.bool_]) -> Grid:
    """Return the chosen slices; the first of them becomes the origin.

    Raises:
        ValueError: the image has another number of slices than its labels.
    """
    if len(grid.values) != len(kept):
        raise ValueError(f"{grid.path}: {len(grid.values)} slices, its labels have {len(kept)}")
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * int(kept.argmax())
    return replace(grid, values=grid.values[kept], affine=affine)


KITS19 = Recipe(
    name="KiTS19",
    number=64,
    description="Kidneys and their tumours in CT; the first axis is the body's",
    origin="https://github.com/neheller/kits19 (its script fetches the images)",
    layout="case_00000/imaging.nii.gz and case_00000/segmentation.nii.gz",
    needs=(r"case_\d{5}/imaging\.nii(?:\.gz)?", r"case_\d{5}/segmentation\.nii(?:\.gz)?"),
    find=find,
    classes=("kidney", "tumour"),
    channels=("CT",),
    cases=210,
    flip_axes=(0, 1, 2),
    licence="CC BY-NC-SA 4.0",
    reference="Heller et al. 2021, Medical Image Analysis 67:101821",
    divisions={"region-wise": alternate},
)

RECIPES = (
    KITS19,
    replace(
        KITS19,
        name="KiTS19_labelled_slices",
        number=103,
        description="The slices of KiTS19 that hold a kidney or tumour, as in the experiments of the region-wise loss",
        read_images=labelled_image,
        read_labels=labelled_labels,
        traps=(
            "slices without a label are left out, of test cases too, so the truth chose what is scored; where such "
            "slices lie between others, the volume closes the gap",
            "the experiments of the region-wise loss also shrank every slice to 256 x 256, which is not done here",
        ),
    ),
)
