"""A series of DICOM files as one volume, read by ITK."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy

from lossodyssey.data.contents import Stamp, stamp_of
from lossodyssey.data.grids import Grid

POSITION = "0020|0032"
UNEVEN = 0.1  # the share of a step by which steps may differ; positions are rounded in the files
TO_RAS = numpy.diag([-1.0, -1.0, 1.0, 1.0])  # ITK's axes point left and back, those of NIfTI right and front


def read_series(files: tuple[Path, ...]) -> Grid:
    """Read the slices of one series, in the order of their positions, as a volume with the affine of a NIfTI file.

    The last series is kept while its files stay as they are, since labels are laid out like their image and ask for it.

    Raises:
        ModuleNotFoundError: SimpleITK is not installed.
        ValueError: the files are not one series of equal slices.
    """
    return _read(files, tuple(stamp_of(file) for file in files))


@lru_cache(maxsize=1)
def _read(files: tuple[Path, ...], _: tuple[Stamp, ...]) -> Grid:
    itk = _itk()
    folder = files[0].parent
    ids = itk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(ids) != 1 or any(file.parent != folder for file in files):
        raise ValueError(f"{folder}: expected the DICOM files of one series, found {len(ids)}; keep one of them")
    reader = itk.ImageSeriesReader()
    reader.MetaDataDictionaryArrayUpdateOn()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), ids[0]))
    image = _executed(itk, reader, folder)
    values = itk.GetArrayFromImage(image).transpose(2, 1, 0)
    if values.shape[2] != len(files):
        raise ValueError(f"{folder}: {len(files)} files make {values.shape[2]} slices; one is missing or damaged")
    _check_steps(folder, [reader.GetMetaData(number, POSITION) for number in range(len(files))])
    return Grid(files[0], numpy.ascontiguousarray(values), _affine(image))


def _itk() -> Any:
    try:
        return import_module("SimpleITK")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'DICOM files are read by SimpleITK, which is not installed; pip install ".[formats]"'
        ) from None


def _executed(itk: Any, reader: Any, folder: Path) -> Any:
    """Read the files; problems that ITK would print are found by later checks."""
    shown = itk.ProcessObject.GetGlobalWarningDisplay()
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"{folder}: cannot be read as a DICOM series ({_last_line(error)}); copy it again") from None
    finally:
        itk.ProcessObject.SetGlobalWarningDisplay(shown)


def _check_steps(folder: Path, positions: Sequence[str]) -> None:
    """Check that the slices are equally far apart: where one is missing, ITK would stretch the others over the gap.

    Raises:
        ValueError: they are not.
    """
    places = numpy.array([[float(number) for number in position.split("\\")] for position in positions])
    steps = numpy.linalg.norm(numpy.diff(places, axis=0), axis=1)
    if len(steps) and steps.max() - steps.min() > UNEVEN * steps.min():
        raise ValueError(
            f"{folder}: its slices lie {steps.min():g} to {steps.max():g} mm apart; is a slice missing? Get it again"
        )


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
