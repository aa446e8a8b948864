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
from lossodyssey.data.sizes import TooLargeError, check_claim

ENDINGS = (".nii.gz", ".nii", ".png", ".tif", ".tiff")


@dataclass(frozen=True)
class Grid:
    """Values as stored, with the affine from array indices to world: (4, 4) for NIfTI, (3, 3) for pictures.

    `colours` are the colours of a picture whose values are places in a palette: labels are the places, images the
    colours.
    """

    path: Path
    values: NDArray[Any]
    affine: NDArray[numpy.float64]
    colours: NDArray[Any] | None = None

    def spacing(self, dims: int) -> tuple[float, ...]:
        """Compute the distance of neighbours along the first `dims` array axes."""
        # Column lengths of the affine, which hold for rotated images, too; its diagonal does not.
        return tuple(float(size) for size in numpy.linalg.norm(self.affine[:-1, :-1], axis=0)[:dims])


def ending(path: Path) -> str:
    """Return the image ending of a file name as it is written there.

    Raises:
        ValueError: the format is not one that is read.
    """
    name = path.name.lower()
    for known in ENDINGS:
        if name.endswith(known) and name != known:
            return path.name[-len(known) :]
    raise ValueError(f"{path}: not an image format that can be read; expected one of {', '.join(ENDINGS)}")


def stem(path: Path) -> str:
    """Return the file name without its image ending.

    Raises:
        ValueError: the format is not one that is read.
    """
    return path.name[: -len(ending(path))]


def is_image(path: Path) -> bool:
    """Return whether the name is that of an image, in small letters or capitals, and not of a hidden file."""
    name = path.name.lower()
    return name.endswith(ENDINGS) and not name.startswith(".")


def is_volume(path: Path) -> bool:
    """Return whether the name is that of a NIfTI file.

    Raises:
        ValueError: the format is not one that is read.
    """
    return ending(path).lower().startswith(".nii")


def read_grid(path: Path) -> Grid:
    """Read a NIfTI, PNG or TIFF file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or claims more than can be meant; the text names the file.
        MemoryError: there is too little memory for it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    volume = is_volume(path)
    try:
        with _quiet():
            return _read_nifti(path) if volume else _read_picture(path)
    except TooLargeError:
        raise
    except MemoryError:
        raise MemoryError(f"{path}: not enough memory to read it") from None
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
    picture = _open(path)
    proxy = picture.dataobj
    # Before the values are touched: a broken header may claim terabytes.
    check_claim(path, picture.shape, proxy.dtype.itemsize, proxy.offset)
    values = _without_single_axes(numpy.asanyarray(proxy))
    grid = Grid(path, values, numpy.asarray(picture.affine, dtype=numpy.float64))
    # A spacing of 0 would make every distance 0, and NaN in the affine every comparison false.
    if not (grid.values.ndim >= 2 and numpy.isfinite(grid.affine).all() and min(grid.spacing(3)) > 0):
        raise ValueError(f"shape {grid.values.shape} or affine {grid.affine.tolist()} makes no grid")
    return grid


def _open(path: Path) -> Any:
    """Open a NIfTI file; nibabel looks for names that are all in small letters or all in capitals."""
    if ending(path) in (ending(path).lower(), ending(path).upper()):
        return nibabel.load(path)
    holders = {"image": nibabel.FileHolder(str(path))}
    try:
        return nibabel.Nifti1Image.from_file_map(holders)  # type: ignore[no-untyped-call]
    except nibabel.spatialimages.HeaderDataError:
        return nibabel.Nifti2Image.from_file_map(holders)  # type: ignore[no-untyped-call]


def _without_single_axes(values: NDArray[Any]) -> NDArray[Any]:
    """Drop axes of length 1 behind the three of space: (X, Y, Z, 1), and ITK's vector images (X, Y, Z, 1, C)."""
    return values.squeeze(tuple(axis for axis in range(3, values.ndim) if values.shape[axis] == 1))


def _read_picture(path: Path) -> Grid:
    from PIL import Image

    try:
        picture = Image.open(path)
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise TooLargeError(f"{path}: claims more than {most:,} pixels; cut the picture into tiles") from None
    with picture:
        # Pillow would give the first page of a stack without a word.
        if getattr(picture, "n_frames", 1) > 1:
            raise ValueError("it holds several pages, expected one")
        return Grid(path, numpy.asarray(picture), numpy.eye(3), _colours(picture))


def _colours(picture: Any) -> NDArray[Any] | None:
    """Return the colours (H, W, 3) of a picture with a palette, or its greys (H, W); None for a picture without."""
    if picture.mode != "P":
        return None
    colours: NDArray[Any] = numpy.asarray(picture.convert("RGB"))
    # A grey picture stored with a palette has one channel, as its neighbours stored without.
    grey = (colours == colours[..., :1]).all()
    return colours[..., 0] if grey else colours


def write_array(path: Path, values: NDArray[Any], affine: NDArray[numpy.float64]) -> None:
    """Write `values` whole or not at all; equal values give equal bytes.

    Raises:
        ValueError: the format is not one that is read, or cannot hold the values.
    """
    volume = is_volume(path)
    stored = _storable(path, values)
    with writing(path) as draft:
        if volume:
            picture = nibabel.Nifti1Image(stored, affine)  # type: ignore[no-untyped-call]
            picture.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
            # By a file holder: nibabel refuses names whose endings mix small letters and capitals.
            picture.to_file_map({"image": nibabel.FileHolder(str(draft))})  # type: ignore[no-untyped-call]
        else:
            from PIL import Image

            Image.fromarray(stored).save(draft)


def _storable(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in a type that the format keeps; refuse pictures that would lose their upper digits."""
    if values.dtype.kind != "i":
        return values
    if is_volume(path):
        # nibabel refuses 64-bit integers, which many readers of NIfTI do not know.
        return values.astype(numpy.uint32) if values.dtype.itemsize > 4 else values
    if values.max(initial=0) > numpy.iinfo(numpy.uint16).max:
        raise ValueError(f"{path}: pictures hold labels up to 65535, found {values.max()}; write a .nii.gz file")
    return values.astype(numpy.uint16)
