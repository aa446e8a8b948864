"""A series of DICOM files as one volume, read by ITK."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy

from lossodyssey.data.grids import Grid

TO_RAS = numpy.diag([-1.0, -1.0, 1.0, 1.0])  # ITK's axes point left and back, those of NIfTI right and front


@lru_cache(maxsize=1)
def read_series(files: tuple[Path, ...]) -> Grid:
    """Read the slices of one series, in the order of their positions, as a volume with the affine of a NIfTI file.

    The last series is kept, since labels are laid out like their image and ask for it again.

    Raises:
        ModuleNotFoundError: SimpleITK is not installed.
        ValueError: the files are not one series of equal slices.
    """
    itk = _itk()
    folder = files[0].parent
    ids = itk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(ids) != 1 or any(file.parent != folder for file in files):
        raise ValueError(f"{folder}: expected the DICOM files of one series, found {len(ids)}; keep one of them")
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), ids[0]))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"{folder}: cannot be read as a DICOM series ({_last_line(error)}); copy it again") from None
    values = itk.GetArrayFromImage(image).transpose(2, 1, 0)
    if values.shape[2] != len(files):
        raise ValueError(f"{folder}: {len(files)} files make {values.shape[2]} slices; a slice is missing or damaged")
    return Grid(files[0], numpy.ascontiguousarray(values), _affine(image))


def _itk() -> Any:
    try:
        return import_module("SimpleITK")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "DICOM files are read by SimpleITK, which is not installed; pip install 'lossodyssey[formats]'"
        ) from None


def _affine(image: Any) -> numpy.ndarray[Any, numpy.dtype[numpy.float64]]:
    """Return the affine from array indices to the world of NIfTI."""
    affine = numpy.eye(4)
    affine[:3, :3] = numpy.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return TO_RAS @ affine


def _last_line(error: RuntimeError) -> str:
    return (str(error).splitlines() or ["no reason given"])[-1].strip()


def series_of(files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of the folder that holds most of them: other folders hold scouts and copies."""
    folders = sorted({file.parent for file in files}, key=str)
    largest = max(folders, key=lambda folder: sum(file.parent == folder for file in files))
    return tuple(sorted(file for file in files if file.parent == largest))
