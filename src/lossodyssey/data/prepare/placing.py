"""One case at a time, from where it was found to its place in the prepared set."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.atomic import writing
from lossodyssey.data.alignment import misfit
from lossodyssey.data.grids import NIFTI, Grid, is_volume, read_grid, share_axes, write_array
from lossodyssey.data.nifti import SILENT
from lossodyssey.data.prepare.recipe import Found, Recipe
from lossodyssey.data.prepare.sources import Tree

PACKING = 6  # gzip's level; images of CT hardly shrink further


def place_images(recipe: Recipe, tree: Tree, found: Found, folder: Path, *, split: bool) -> list[str]:
    """Write the images of a case to a folder; return their names.

    With `split`, a volume of several channels becomes a file for each, as nnU-Net needs it.
    """
    made = list(recipe.read_images(found)) if recipe.read_images is not None else []
    if not made and split and len(found.images) == 1 < len(recipe.channels) and is_volume(found.images[0]):
        made = _channels(read_grid(found.images[0]), len(recipe.channels))
    names = _names(found.name, len(made or found.images), recipe.ending, split=split)
    if made:
        for grid, name in zip(made, names, strict=True):
            _write(folder / name, grid, grid.shown)
    else:
        for image, name in zip(found.images, names, strict=True):
            _place(tree, image, folder / name, label=False)
    return names


def _names(case: str, count: int, ending: str, *, split: bool) -> list[str]:
    if count == 1 and not split:
        return [case + ending]
    return [f"{case}_{channel:04d}{ending}" for channel in range(count)]


def _channels(grid: Grid, count: int) -> list[Grid]:
    """Return a grid for each channel, which lie along the last axis.

    Raises:
        ValueError: the file has another number of them.
    """
    if grid.values.ndim != 4 or grid.values.shape[-1] != count:
        raise ValueError(f"{grid.path}: image of shape {grid.values.shape}; expected {count} channels on a fourth axis")
    return [replace(grid, values=grid.values[..., channel]) for channel in range(count)]


def place_labels(recipe: Recipe, tree: Tree, found: Found, target: Path, image: Path) -> str:
    """Write the labels of a case; return what was corrected, in sentences, or nothing.

    `image` is the image of the case as it was written.

    Raises:
        ValueError: a label has no class, or several files are given and the recipe does not say how to join them.
    """
    own = recipe.read_labels(found) if recipe.read_labels is not None else None
    if own is None and len(found.labels) != 1:
        raise ValueError(f"case {found.name!r}: {len(found.labels)} label files, expected one")
    if own is None and not found.relabel and not recipe.same_grid:
        _place(tree, found.labels[0], target, label=True)
        return ""
    grid = own or read_grid(found.labels[0])
    # The source is read where it is still there: it may not be compressed, and reads faster.
    scan = found.images[0] if found.images[0].is_file() else image
    moved = _on_grid_of(read_grid(scan), grid) if recipe.same_grid else grid
    if moved is grid and own is None and not found.relabel:
        _place(tree, found.labels[0], target, label=True)
    else:
        _write(target, moved, relabelled(moved, found.relabel))
    notes = (*(own.notes if own else ()), *([_misfit_of(grid, moved)] if moved is not grid else ()))
    return "; ".join(notes)


def relabelled(grid: Grid, classes: Mapping[int, int]) -> NDArray[Any]:
    """Return the class of every voxel; the labels themselves where no classes are given.

    Raises:
        ValueError: a label has no class.
    """
    if not classes:
        return grid.values
    result = numpy.zeros(grid.values.shape, numpy.uint8)
    for label in numpy.unique(grid.values).tolist():
        if label not in classes:
            raise ValueError(f"{grid.path}: has label {label:g}; expected {', '.join(map(str, sorted(classes)))}")
        result[grid.values == label] = classes[int(label)]
    return result


def _on_grid_of(image: Grid, labels: Grid) -> Grid:
    """Return the labels with the header of the image, where the two disagree and have the same shape."""
    if image.values.shape[:3] != labels.values.shape or image.affine.shape != labels.affine.shape:
        return labels
    if misfit(image.affine, labels.affine, labels.values.shape).negligible:
        return labels
    return replace(labels, affine=image.affine, doubt=image.doubt)


def _misfit_of(grid: Grid, moved: Grid) -> str:
    off = misfit(moved.affine, grid.affine, grid.values.shape)
    return f"the headers of image and labels differ by {off}; the labels were given that of the image"


def _place(tree: Tree, source: Path, target: Path, *, label: bool) -> None:
    """Write a file to its place: as it is, compressed, or in another format, by the endings of the two names."""
    old, new = source.name.lower(), target.name.lower()
    if old.endswith(NIFTI) and new.endswith(NIFTI):
        if old.endswith(".gz") == new.endswith(".gz"):
            _bring(tree, source, target)
        else:
            _compress(source, target)
    elif is_volume(target) != is_volume(source) or not share_axes(source, target):
        raise ValueError(
            f"{source}: cannot become {target.name}: one is a volume, the other a picture or a stack of them"
        )
    else:
        grid = read_grid(source)
        _write(target, grid, grid.values if label else grid.shown)


def _bring(tree: Tree, source: Path, target: Path) -> None:
    """Move a file that was unpacked, link one of the user's, or copy it where the disk does not link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if tree.is_unpacked(source):
        source.rename(target)
        return
    try:
        os.link(source.resolve(), target)
    except OSError:
        with writing(target) as draft:
            shutil.copyfile(source, draft)


def _compress(source: Path, target: Path) -> None:
    """Write a volume compressed, byte by byte, so that no value passes through another type; equal files stay equal."""
    with (
        writing(target) as draft,
        source.open("rb") as plain,
        draft.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=PACKING, fileobj=raw, mtime=0) as packed,
    ):
        shutil.copyfileobj(plain, packed, 1 << 20)


def _write(target: Path, grid: Grid, values: NDArray[Any]) -> None:
    write_array(target, values, grid.affine, oriented=grid.doubt != SILENT)
