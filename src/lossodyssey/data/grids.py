"""One image file: its values and where they lie in space."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy
from numpy.typing import NDArray

from lossodyssey.atomic import writing

ENDINGS = (".nii.gz", ".nii", ".png", ".tif", ".tiff")


@dataclass(frozen=True)
class Grid:
    """Values as stored, with the affine from array indices to world: (4, 4) for NIfTI, (3, 3) for pictures."""

    path: Path
    values: NDArray[Any]
    affine: NDArray[numpy.float64]

    def spacing(self, dims: int) -> tuple[float, ...]:
        """Distance of neighbours along the first `dims` array axes."""
        return tuple(float(size) for size in numpy.linalg.norm(self.affine[:-1, :-1], axis=0)[:dims])


def stem(path: Path) -> str:
    """File name without its image ending; ValueError for a format that is not read."""
    for ending in ENDINGS:
        if path.name.endswith(ending) and path.name != ending:
            return path.name.removesuffix(ending)
    raise ValueError(f"{path}: not an image format that can be read; expected one of {', '.join(ENDINGS)}")


def read_grid(path: Path) -> Grid:
    """Read a NIfTI, PNG or TIFF file; ValueError naming it when that fails."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    stem(path)
    try:
        with _quiet():
            return _read_nifti(path) if ".nii" in path.name else _read_picture(path)
    # Broken files make the readers raise errors of a dozen unrelated types.
    except Exception as error:
        raise ValueError(f"{path}: cannot be read, is it cut short? Copy it again ({_first_line(error)})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the readers' warnings and nibabel's log of repaired headers off the terminal."""
    logger = nibabel.imageglobals.logger
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _read_nifti(path: Path) -> Grid:
    picture: Any = nibabel.load(path)
    grid = Grid(path, numpy.asanyarray(picture.dataobj), numpy.asarray(picture.affine, dtype=numpy.float64))
    if not (grid.values.ndim >= 2 and numpy.isfinite(grid.affine).all() and min(grid.spacing(3)) > 0):
        raise ValueError(f"shape {grid.values.shape} or affine {grid.affine.tolist()} makes no grid")
    return grid


def _read_picture(path: Path) -> Grid:
    from PIL import Image

    with Image.open(path) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            raise ValueError("it holds several pages, expected one")
        return Grid(path, numpy.asarray(picture), numpy.eye(3))


def write_array(path: Path, values: NDArray[Any], affine: NDArray[numpy.float64]) -> None:
    """Write `values` whole or not at all; equal values give equal bytes."""
    stem(path)
    with writing(path) as draft:
        if ".nii" in path.name:
            picture = nibabel.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]
            picture.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
            nibabel.save(picture, draft)
        else:
            from PIL import Image

            Image.fromarray(values.astype(numpy.uint16) if values.dtype == numpy.int16 else values).save(draft)
