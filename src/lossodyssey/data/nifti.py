"""A NIfTI file, read to its last byte, so that what is damaged or cut is not taken for an image."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from lossodyssey.data.sizes import TooLargeError, check_claim

CHUNK = 1 << 20
LITTLE = 1024  # bytes after the values that writers pad files with
SILENT = "its header says nothing of how its axes lie (sform_code and qform_code are 0)"


@dataclass(frozen=True)
class Nifti:
    """Values and affine of a file.

    `doubt` says why the affine may not tell how the axes lie, `notes` say what is odd about the file.
    """

    values: NDArray[Any]
    affine: NDArray[numpy.float64]
    doubt: str
    notes: tuple[str, ...]


def read_nifti(path: Path) -> Nifti:
    """Read a NIfTI file of either version; a compressed one is read to its end, where its checksum is."""
    with _opened(path) as stream:
        picture = _picture(stream)
        proxy = picture.dataobj
        # Before the values are touched: a broken header may claim terabytes.
        claimed = check_claim(path, picture.shape, proxy.dtype.itemsize, proxy.offset)
        values = _without_single_axes(numpy.asanyarray(proxy))
        stream.seek(claimed)
        notes = _rest(path, stream, claimed)
    return Nifti(values, numpy.asarray(picture.affine, dtype=numpy.float64), _doubt(picture.header), notes)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path) if packed else path.open("rb") as stream:
        yield stream  # type: ignore[misc]


def _picture(stream: Any) -> Any:
    holders = {"image": nibabel.FileHolder(fileobj=stream)}
    try:
        return nibabel.Nifti1Image.from_file_map(holders)  # type: ignore[no-untyped-call]
    except nibabel.spatialimages.HeaderDataError:
        stream.seek(0)
        return nibabel.Nifti2Image.from_file_map(holders)  # type: ignore[no-untyped-call]


def _without_single_axes(values: NDArray[Any]) -> NDArray[Any]:
    """Drop axes of length 1 after the three of space: (X, Y, Z, 1), and ITK's vector images (X, Y, Z, 1, C)."""
    return values.squeeze(tuple(axis for axis in range(3, values.ndim) if values.shape[axis] == 1))


def _rest(path: Path, stream: BinaryIO, claimed: int) -> tuple[str, ...]:
    """Read what follows the values, and with it the checksum; note it where that is more than a little."""
    behind, garbage = 0, False
    try:
        while behind <= claimed + CHUNK and (chunk := stream.read(CHUNK)):
            behind += len(chunk)
    except gzip.BadGzipFile as error:
        # The stream before these bytes was whole, with its checksum.
        if not str(error).startswith("Not a gzipped file"):
            raise
        garbage = True
    if isinstance(stream, gzip.GzipFile) and behind > claimed + CHUNK:
        raise TooLargeError(
            f"{path}: its header claims {claimed:,} bytes, but it unpacks to more than {2 * claimed + CHUNK:,}; "
            "it is not what it says it is"
        )
    notes = [f"its header claims {claimed:,} bytes, but it holds more; is a size in it too small?"] * (behind > LITTLE)
    notes += ["bytes that are not of the file lie behind its end; they are passed over"] * garbage
    return tuple(notes)


def _doubt(header: Any) -> str:
    """Say why an affine may not tell how the axes lie: nobody wrote one, or two that contradict each other."""
    codes = int(header["sform_code"]), int(header["qform_code"])
    if not any(codes):
        return SILENT
    if all(codes):
        sform, qform = (_codes(form) for form in _forms(header))
        if sform != qform:
            return f"its header says two things of how its axes lie (sform: {sform}, qform: {qform})"
    return ""


def _codes(affine: NDArray[Any]) -> str:
    return "".join(code or "?" for code in aff2axcodes(affine))  # type: ignore[no-untyped-call]


def _forms(header: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both affines; one whose numbers make no affine says nothing, and so does not contradict."""
    sform = header.get_sform()
    try:
        return sform, header.get_qform()
    except (ValueError, nibabel.spatialimages.HeaderDataError):
        return sform, sform
