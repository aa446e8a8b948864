"""MHA, MHD, NRRD and NHDR files: values with the first axis of space first, as NIfTI has them.

ITK's world runs to the left and to the back (LPS), NIfTI's to the right and to the front (RAS): the affine of a volume
is turned to the latter, so that one image has one affine in every format. An image of two axes is a picture: rows
before columns, and an affine (3, 3) from them to ITK's own world, which pictures need not share with a patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.itk_headers import PACKED, TEXT, check_packed, read_header
from lossodyssey.data.nifti import SILENT
from lossodyssey.data.sizes import DENSEST, RefusedError, check_claim

TURN = numpy.diag([-1.0, -1.0, 1.0, 1.0])  # from LPS to RAS and back
DRIVERS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}


@dataclass(frozen=True)
class ItkImage:
    """Values (*S) or (*S, channels) and affine; `doubt` says why the affine may not tell how the axes lie."""

    values: NDArray[Any]
    affine: NDArray[numpy.float64]
    doubt: str


def library(path: Path) -> Any:
    """Return the module SimpleITK.

    Raises:
        RefusedError: it is not installed.
    """
    try:
        import SimpleITK
    except ImportError:
        raise RefusedError(
            f'{path}: {path.suffix} files need SimpleITK, which is not installed; pip install ".[formats]"'
        ) from None
    sitk: Any = SimpleITK
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def count_axes(path: Path) -> int:
    """Return the number of the axes of space, from the header alone."""
    read_header(path)
    return _axes(path, _reader(path))


def read_itk(path: Path) -> ItkImage:
    """Read a file whose header has been checked against the size of its data."""
    sitk = library(path)
    header = read_header(path)
    reader = _reader(path)
    axes, channels = _axes(path, reader), int(reader.GetNumberOfComponents())
    itemsize = numpy.dtype(sitk.GetArrayViewFromImage(sitk.Image([1] * 2, reader.GetPixelIDValue())).dtype).itemsize
    size = header.data.stat().st_size - header.offset
    shape = [*reader.GetSize(), channels] if channels > 1 else list(reader.GetSize())
    itemsize = 1 if header.encoding == TEXT else itemsize
    density = DENSEST if header.encoding == PACKED else 1
    claimed = check_claim(path, shape, itemsize, 0, density=density, size=max(size, 1))
    if header.encoding == PACKED:
        check_packed(path, header, claimed)
    if channels > 1 and path.name.lower().endswith(".seg.nrrd"):
        raise RefusedError(f"{path}: holds segments in {channels} layers that overlap; export them as one label map")

    image = reader.Execute()
    values = _in_order(sitk.GetArrayFromImage(image), axes, channels)
    silent = header.fields.get("spacedirections", "none") == "none" if "encoding" in header.fields else False
    return ItkImage(values, _affine(image, axes), SILENT if silent and axes == 3 else "")


def _reader(path: Path) -> Any:
    reader = library(path).ImageFileReader()
    reader.SetImageIO(DRIVERS[path.suffix.lower()])
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _axes(path: Path, reader: Any) -> int:
    size = reader.GetSize()
    axes = 3 if len(size) > 3 and set(size[3:]) == {1} else len(size)
    if axes not in (2, 3):
        raise RefusedError(f"{path}: has {axes} axes {tuple(size)}, expected 2 or 3; save each moment as a file")
    return axes


def _in_order(values: NDArray[Any], axes: int, channels: int) -> NDArray[Any]:
    """Return the values with the axes of space as NIfTI (3) or pictures (2) have them; the library reverses them."""
    tail = 1 if channels > 1 else 0
    values = values.reshape(values.shape[values.ndim - tail - axes :])
    return values if axes == 2 else values.transpose(2, 1, 0, *range(3, values.ndim))


def _affine(image: Any, axes: int) -> NDArray[numpy.float64]:
    space = image.GetDimension()
    steps = numpy.array(image.GetDirection()).reshape(space, space)[:axes, :axes] * image.GetSpacing()[:axes]
    affine = numpy.eye(axes + 1)
    affine[:axes, :axes], affine[:axes, axes] = steps, image.GetOrigin()[:axes]
    if axes == 3:
        return TURN @ affine
    swap = numpy.eye(3)[[1, 0, 2]]
    return swap @ affine @ swap


def write_itk(draft: Path, values: NDArray[Any], affine: NDArray[numpy.float64]) -> None:
    """Write values (*S) or (*S, channels) with the affine that `read_itk` gives for them."""
    sitk = library(draft)
    axes = len(affine) - 1
    swap = numpy.eye(3)[[1, 0, 2]]
    own = TURN @ affine if axes == 3 else swap @ affine @ swap
    reversed_axes = values.transpose(2, 1, 0, *range(3, values.ndim)) if axes == 3 else values
    image = sitk.GetImageFromArray(numpy.ascontiguousarray(reversed_axes), isVector=values.ndim > axes)
    spacing = numpy.linalg.norm(own[:axes, :axes], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((own[:axes, :axes] / spacing).ravel().tolist())
    image.SetOrigin(own[:axes, axes].tolist())
    sitk.WriteImage(image, str(draft), useCompression=True)
