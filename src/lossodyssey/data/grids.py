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
from lossodyssey.data.nifti import read_nifti
from lossodyssey.data.pictures import read_picture
from lossodyssey.data.sizes import RefusedError

ENDINGS = (".nii.gz", ".nii", ".png", ".tif", ".tiff")


@dataclass(frozen=True)
class Grid:
    """Values as stored, with the affine from array indices to world: (4, 4) for NIfTI, (3, 3) for pictures.

    `colours` are the colours of a picture whose values are places in a palette: labels are the places, images the
    colours. `doubt` says why a volume's header does not tell how its axes lie; `notes` say what was let pass.
    """

    path: Path
    values: NDArray[Any]
    affine: NDArray[numpy.float64]
    colours: NDArray[Any] | None = None
    doubt: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> NDArray[Any]:
        """The values of an image, where those of a label map may be places in a palette."""
        return self.values if self.colours is None else self.colours

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
    """Read a NIfTI, PNG or TIFF file; a warning says what was let pass.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, cannot be read in full, or claims more than can be meant; the text names the file.
        MemoryError: there is too little memory for it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    grid = _read(path)
    for note in grid.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return grid


def _read(path: Path) -> Grid:
    volume = is_volume(path)
    try:
        with _quiet():
            if not volume:
                values, colours = read_picture(path)
                return Grid(path, values, numpy.eye(3), colours)
            image = read_nifti(path)
            grid = Grid(path, image.values, image.affine, None, image.doubt, image.notes)
            # A spacing of 0 would make every distance 0, and NaN in the affine every comparison false.
            if not (grid.values.ndim >= 2 and numpy.isfinite(grid.affine).all() and min(grid.spacing(3)) > 0):
                raise ValueError(f"shape {grid.values.shape} or affine {grid.affine.tolist()} makes no grid")
            return grid
    except RefusedError:
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


def write_array(path: Path, values: NDArray[Any], affine: NDArray[numpy.float64], *, oriented: bool = True) -> None:
    """Write `values` whole or not at all; equal values give equal bytes.

    Where the axes are not `oriented`, the header keeps the sizes of the voxels and says nothing of how they lie.

    Raises:
        ValueError: the format is not one that is read, or cannot hold the values.
    """
    volume = is_volume(path)
    stored = _storable(path, values)
    with writing(path) as draft:
        if volume:
            picture = nibabel.Nifti1Image(stored, affine)  # type: ignore[no-untyped-call]
            picture.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
            if not oriented:
                picture.set_sform(None, code=0)  # type: ignore[no-untyped-call]
                picture.set_qform(None, code=0)  # type: ignore[no-untyped-call]
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
