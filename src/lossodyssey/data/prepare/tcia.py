"""NIH Pancreas-CT of the Cancer Imaging Archive: images as DICOM series, labels as NIfTI files that lie mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lossodyssey.data.grids import Grid, is_volume, read_grid
from lossodyssey.data.prepare.dicom import read_series, series_of
from lossodyssey.data.prepare.orienting import oriented_like
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe, paired
from lossodyssey.data.prepare.sources import Tree

IMAGES = (r"PANCREAS_\d{4}/(?:[^/]+/)*[^/]+\.dcm", r"PANCREAS_\d{4}\.nii(?:\.gz)?")
LABELS = r"(?:TCIA_pancreas_labels[^/]*/)?label\d{4}\.nii(?:\.gz)?"


def find_images(tree: Tree) -> dict[str, tuple[Path, ...]]:
    """Return the files of each scan by its four digits: one NIfTI file, or the slices of a DICOM series."""
    converted = {number: (path,) for number, path in tree.paths(r"PANCREAS_(\d{4})\.nii(?:\.gz)?").items()}
    slices: dict[str, list[Path]] = {}
    for match in tree.find(r"PANCREAS_(\d{4})/(?:[^/]+/)*[^/]+\.dcm"):
        slices.setdefault(match[1], []).append(match.path)
    return {number: series_of(files) for number, files in slices.items()} | converted


def find(tree: Tree) -> Finding:
    """Find the scans that have labels; two of the 82 have been withdrawn from the archive since."""
    images = find_images(tree)
    # The labels of several organs by Gibson et al. have the same names.
    labels = tree.paths(r"(?<!multiorgan/)label(\d{4})\.nii(?:\.gz)?")
    names, notes = paired({number: files[0] for number, files in images.items()}, labels)
    return Finding([Found(f"pancreas_{n}", images[n], (labels[n],), source="NIH Pancreas-CT") for n in names], notes)


def read_image(files: Sequence[Path]) -> Grid:
    """Read a scan, converted or not."""
    return read_grid(files[0]) if _is_converted(files) else read_series(tuple(files))


def _is_converted(files: Sequence[Path]) -> bool:
    return files[0].suffix.lower() != ".dcm" and is_volume(files[0])


def images(found: Found) -> Sequence[Grid]:
    """Return the image of a case."""
    return [read_image(found.images)]


def labels(found: Found) -> Grid:
    """Return the labels of a case on the grid of its image."""
    return oriented_like(read_image(found.images), read_grid(found.labels[0]))


RECIPES = (
    Recipe(
        name="NIH_Pancreas-CT",
        number=62,
        description="Pancreas in contrast-enhanced abdominal CT of healthy subjects",
        origin="https://www.cancerimagingarchive.net/collection/pancreas-ct/",
        layout="Pancreas-CT/PANCREAS_0001/.../*.dcm and TCIA_pancreas_labels-02-05-2017/label0001.nii.gz",
        needs=(*IMAGES, LABELS),
        find=find,
        classes=("pancreas",),
        channels=("CT",),
        cases=82,
        read_images=images,
        read_labels=labels,
        flip_axes=(0, 1, 2),
        licence="CC BY 3.0",
        reference="Roth et al. 2016, doi 10.7937/K9/TCIA.2016.tNB1kqBU",
        traps=("scans 25 and 70 have been withdrawn from the archive: 80 of the 82 can be had now",),
        aliases=("NIH pancreas", "Pancreas-CT"),
    ),
)
