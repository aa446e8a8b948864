"""The labels of eight organs by Gibson et al. for scans of NIH Pancreas-CT and BTCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lossodyssey.data.grids import Grid, read_grid
from lossodyssey.data.prepare.orienting import oriented_like
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe
from lossodyssey.data.prepare.sources import Tree
from lossodyssey.data.prepare.tcia import IMAGES, find_images, read_image

ORGANS = {
    1: "spleen",
    3: "left kidney",
    4: "gallbladder",
    5: "esophagus",
    6: "liver",
    7: "stomach",
    11: "pancreas",
    14: "duodenum",
}
"""The organs that are annotated in all scans; the others are in those of BTCV alone."""

CLASSES: Mapping[int, int] = {label: 0 for label in range(15)} | {
    label: number for number, label in enumerate(ORGANS, 1)
}
WITHDRAWN = "0025"


def find(tree: Tree) -> Finding:
    """Find the scans that have labels, those of NIH first."""
    scans = {"tcia": find_images(tree), "btcv": _btcv(tree)}
    found = {source: labels_of(tree, source) for source in scans}
    cases = [
        Found(f"{source}_{number}", scans[source][number], (label,), source=source.upper(), relabel=CLASSES)
        for source, labels in found.items()
        for number, label in labels.items()
        if number in scans[source]
    ]
    lacking = [f"{s}_{n}" for s, labels in found.items() for n in labels if n not in scans[s]]
    notes = (f"{len(lacking)} scans have labels but no image: {', '.join(lacking[:8])}",) if lacking else ()
    return Finding(cases, notes)


def labels_of(tree: Tree, source: str) -> dict[str, Path]:
    """Return the label files of a source, "tcia" or "btcv", by their four digits."""
    pattern = rf"label_{source}[a-z]*_multiorgan(?:/[^/]+)*/label(\d{{4}})\.nii(?:\.gz)?"
    return tree.paths(pattern)


def _btcv(tree: Tree) -> dict[str, tuple[Path, ...]]:
    return {number: (path,) for number, path in tree.paths(r"img(\d{4})\.nii(?:\.gz)?").items()}


def images(found: Found) -> Sequence[Grid]:
    """Return the image of a case."""
    return [read_image(found.images)]


def labels(found: Found) -> Grid:
    """Return the labels of a case on the grid of its image."""
    return oriented_like(read_image(found.images), read_grid(found.labels[0]))


GIBSON = Recipe(
    name="MultiOrgan_Gibson",
    number=46,
    description="Eight abdominal organs in CT",
    origin="https://zenodo.org/records/1169361 (labels), https://www.cancerimagingarchive.net/collection/pancreas-ct/ "
    "and https://www.synapse.org/Synapse:syn3193805 (images)",
    layout="label_tcia_multiorgan/label0002.nii.gz with Pancreas-CT/PANCREAS_0002/.../*.dcm, and "
    "label_btcv_multiorgan/label0001.nii.gz with img0001.nii.gz of RawData.zip",
    needs=(
        *IMAGES,
        r"img\d{4}\.nii(?:\.gz)?",
        r"label_(?:tcia|btcv)[a-z]*_multiorgan/(?:[^/]+/)*label\d{4}\.nii(?:\.gz)?",
    ),
    find=find,
    classes=tuple(ORGANS.values()),
    channels=("CT",),
    cases=90,
    read_images=images,
    read_labels=labels,
    ratios=(30, 1243),
    flip_axes=(),
    licence="CC BY 4.0 (labels, as stated by the record; not checked); images under the terms of their sources",
    reference="Gibson et al. 2018, IEEE TMI 37(8):1822-1834",
    traps=(
        "outside the regions of cropping.csv the labels may be incomplete; the scans are not cropped",
        f"scan {WITHDRAWN} of Pancreas-CT has been withdrawn from the archive: 89 of the 90 can be had now",
    ),
    aliases=("BTCV multi-organ", "BTCV"),
)

RECIPES = (GIBSON,)
