"""One case at a time: images and label maps as arrays with their geometry, and label maps back to files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy
from numpy.typing import NDArray

from lossodyssey.data.alignment import misfit
from lossodyssey.data.grids import Grid, ending, is_volume, read_grid, share_axes, stem, write_array
from lossodyssey.data.layouts import Case, Dataset
from lossodyssey.data.nifti import SILENT

MOST = numpy.iinfo(numpy.uint32).max  # the largest label
BLURRED = (".jpg", ".jpeg")  # formats that change the values which they pack
NEAR = 32  # how far they change black and white, at the most
FEW = 20  # labels that a message lists one by one

Labels: TypeAlias = "NDArray[numpy.uint8] | NDArray[numpy.int16] | NDArray[numpy.int32] | NDArray[numpy.int64]"


@dataclass(frozen=True)
class Volume:
    """A case in memory.

    `image` float32 (channels, *S); `labels` of the smallest of uint8, int16, int32 and int64 that holds them (*S), or
    None; `spacing` in mm (1.0 where it is not known) along the array's axes; `affine` from array indices to world,
    (4, 4) for volumes and (3, 3) for pictures; `oriented` whether the header says how the axes lie; where it does not,
    the affine is a guess. Where the size of the pixels is not known, they are not `sized`.
    """

    image: NDArray[numpy.float32]
    labels: Labels | None
    spacing: tuple[float, ...]
    affine: NDArray[numpy.float64]
    oriented: bool = True
    sized: bool = True


@dataclass(frozen=True)
class LabelMap:
    """Class numbers (*S) with `spacing` and `affine` as in `Volume`.

    `doubt` says why the axes may lie otherwise; where the size of the pixels is not known, they are not `sized`.
    """

    labels: Labels
    spacing: tuple[float, ...]
    affine: NDArray[numpy.float64]
    doubt: str = ""
    sized: bool = True


def read_case(dataset: Dataset, case: Case) -> Volume:
    """Read the images and, where there is one, the label map of `case`.

    Raises:
        ValueError: a file cannot be read, a value is not finite, the number of channels is not the data set's, shapes
            or affines (tolerance 1e-3) disagree, or a label is not a class of the set; the text names the file.
    """
    grids = [read_grid(path, dataset.spacing) for path in case.images]
    for grid in grids[1:]:
        _check_geometry(grids[0], grid, grid.values.shape, grids[0].values.shape)

    image = numpy.concatenate([channels_first(grid) for grid in grids])
    _check_image(image, dataset, case)
    first, shape = grids[0], image.shape[1:]
    label = None if case.label is None else read_grid(case.label, dataset.spacing)
    labels = None if label is None else _labels_on(first, shape, label, dataset.known_labels)
    # Of several files of one case it may be any that says how large its pixels are.
    sized = next((grid for grid in (*grids, label) if grid is not None and grid.sized), first)
    spacing, oriented = sized.spacing(len(shape)), first.doubt != SILENT
    return Volume(image, labels, spacing, sized.affine, oriented, sized.sized)


def read_labels(
    path: str | Path, classes: Mapping[int, str] | None = None, spacing: tuple[float, ...] = ()
) -> LabelMap:
    """Read a label map; `spacing` is the pixel size of pictures that their data set says.

    Raises:
        ValueError: the file cannot be read, its values are not labels, or one of them is not in `classes`.
    """
    grid = read_grid(Path(path), spacing)
    labels = whole_numbers(grid)
    if classes is not None:
        _check_classes(grid.path, labels, classes)
    return LabelMap(labels, grid.spacing(labels.ndim), grid.affine, grid.doubt, grid.sized)


def read_truth(case: Case, spacing: tuple[float, ...] = ()) -> LabelMap:
    """Read the label map of a case alone, with the pixel size of its images where it has none of its own.

    Raises:
        ValueError: the case has no label map, or it cannot be read.
    """
    if case.label is None:
        raise ValueError(f"case {case.name!r} has no label map")
    labels = read_labels(case.label, spacing=spacing)
    others = (read_grid(path, spacing) for path in case.images) if not labels.sized else ()
    known = next((grid for grid in others if grid.sized), None)
    if known is None:
        return labels
    return replace(labels, spacing=known.spacing(labels.labels.ndim), affine=known.affine, sized=True)


def write_labels(path: str | Path, labels: NDArray[Any], volume: Volume) -> None:
    """Write class numbers (*S) on the grid of `volume`, in the format that `path` ends in, see `write_array`.

    Raises:
        ValueError: the shapes differ, or the format cannot hold the labels.
    """
    if labels.shape != volume.image.shape[1:]:
        raise ValueError(f"{path}: labels of shape {labels.shape} do not fit the image {volume.image.shape[1:]}")
    write_array(Path(path), _compact(labels), volume.affine, oriented=volume.oriented)


def channels_first(grid: Grid) -> NDArray[numpy.float32]:
    """Return an image with its channels first, (channels, *S): a volume has three axes of space, a picture two.

    Raises:
        ValueError: it has other axes, or values that are not real numbers.
    """
    values = grid.shown
    dims = grid.affine.shape[0] - 1
    if values.dtype.names or numpy.iscomplexobj(values) or values.ndim > dims + 1:
        raise ValueError(f"{grid.path}: expected real numbers on {dims} axes and one of channels, found {values.shape}")
    values = values[..., None] if values.ndim <= dims else values
    # Values beyond float32 become infinite, which `_check_image` then reports.
    with numpy.errstate(over="ignore"):
        return numpy.ascontiguousarray(numpy.moveaxis(values, -1, 0), dtype=numpy.float32)


def _check_image(image: NDArray[numpy.float32], dataset: Dataset, case: Case) -> None:
    if len(image) != len(dataset.channels):
        clear = len(image) in (2, 4) and len(image) == len(dataset.channels) + 1 and not is_volume(case.images[0])
        fix = "the last is its transparency: save the picture without" if clear else "correct one of them"
        raise ValueError(
            f"{case.images[0]}: image of case {case.name!r} has {len(image)} channels, "
            f"dataset.json names {len(dataset.channels)} ({', '.join(dataset.channels)}); {fix}"
        )
    # One NaN would make the mean of its channel NaN, and with it the whole normalised case.
    broken = int(image.size - numpy.isfinite(image).sum())
    if broken:
        raise ValueError(f"{case.images[0]}: image holds {broken} values that are NaN or infinite; replace them")


def _labels_on(image: Grid, shape: tuple[int, ...], grid: Grid, classes: Mapping[int, str]) -> Labels:
    _check_geometry(image, grid, grid.values.shape, shape)
    labels = whole_numbers(grid)
    _check_classes(grid.path, labels, classes)
    return labels


def _check_geometry(first: Grid, other: Grid, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise ValueError(
            f"{other.path}: shape {found} does not fit {expected} of {first.path}; resample one to the other"
        )
    if first.affine.shape != other.affine.shape or not share_axes(first.path, other.path):
        raise ValueError(f"{other.path}: not the same kind of file as {first.path}; convert one to the other")
    if not (first.sized and other.sized):
        return
    difference = misfit(first.affine, other.affine, found)
    if difference.too_large:
        raise ValueError(
            f"{other.path}: affine differs by {difference} from that of {first.path}; "
            "resample one to the other, or copy the header if the voxels do correspond"
        )

    if not difference.negligible:
        warnings.warn(
            f"{other.path}: affine differs by {difference} from that of {first.path}; taken for the same grid",
            stacklevel=2,
        )


def whole_numbers(grid: Grid) -> Labels:
    """Return the labels of a label map in the smallest type that holds them.

    Raises:
        ValueError: its values are not labels.
    """
    values = grid.values
    dims = grid.affine.shape[0] - 1
    if values.ndim > dims:
        raise ValueError(
            f"{grid.path}: label map has {values.ndim} axes {values.shape}, expected {dims}: one label per voxel"
        )
    if values.dtype.kind not in "buif":
        raise ValueError(f"{grid.path}: labels are not whole numbers but {values.dtype}; write them as integers")
    if values.dtype.kind == "f":
        values = _rounded(values, grid.path)
    if ending(grid.path).lower() in BLURRED:
        values = _two_valued(values, grid.path)
    if values.min(initial=0) < 0 or values.max(initial=0) > MOST:
        raise ValueError(f"{grid.path}: labels run from {values.min():g} to {values.max():g}, expected 0 to {MOST}")
    return _compact(values)


def _two_valued(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return the black and white that a JPEG file was made of; it keeps no other labels, as packing changes values."""
    low, high = values <= NEAR, values >= 255 - NEAR
    if values.any() and not (high.any() and (low | high).all()):
        between = int((~(low | high)).sum())
        raise ValueError(
            f"{path}: JPEG changes the values that it packs, and these are not of two kinds: they run from "
            f"{values.min()} to {values.max()}, {between} of {values.size} are neither near 0 nor near 255; save label "
            "maps as PNG from their source"
        )
    cleaned: NDArray[Any] = numpy.where(high, 255, 0)
    if not numpy.array_equal(cleaned, values):
        warnings.warn(
            f"{path}: JPEG changed its values; those near 0 are read as 0, those near 255 as 255", stacklevel=2
        )
    return cleaned


def _rounded(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Round labels that a header's `scl_slope` left a rounding error off; refuse anything farther off."""
    # The error of a float32 product grows with the label: absolute for small labels, relative for large ones.
    with numpy.errstate(invalid="ignore"):
        off = numpy.abs(values - numpy.rint(values)).max(initial=0)
        tolerance = min(1e-4 + 1e-6 * float(numpy.abs(values).max(initial=0)), 1e-2)
    if not off <= tolerance:
        raise ValueError(
            f"{path}: labels are not whole numbers (off by up to {off:.3g}); resample labels with nearest neighbour"
        )
    whole: NDArray[Any] = numpy.rint(values)
    return whole


def _compact(labels: NDArray[Any]) -> Labels:
    """Return the labels in the smallest type that holds them."""
    # Signed above uint8: PyTorch computes little with wider unsigned types.
    most = labels.max(initial=0)
    if most <= numpy.iinfo(numpy.uint8).max:
        return labels.astype(numpy.uint8)
    if most <= numpy.iinfo(numpy.int16).max:
        return labels.astype(numpy.int16)
    return labels.astype(numpy.int32) if most <= numpy.iinfo(numpy.int32).max else labels.astype(numpy.int64)


def _check_classes(path: Path, labels: Labels, known: Mapping[int, str]) -> None:
    seen = numpy.unique(labels).tolist()
    if not set(seen) <= set(known):
        short = len(seen) <= FEW and seen[-1] <= numpy.iinfo(numpy.int16).max
        found = f"has labels {seen}" if short else f"has {len(seen)} labels; labels run from {seen[0]} to {seen[-1]}"
        classes = ", ".join(f"{index} {name}" for index, name in known.items())
        raise ValueError(
            f"{path}: case {stem(path)!r} {found}, but the classes are {classes}; "
            "add the class to dataset.json or change the label"
        )
