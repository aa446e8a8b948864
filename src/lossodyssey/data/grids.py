"""One image file: its values and where they lie in space."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy
from numpy.typing import NDArray

from lossodyssey.atomic import writing
from lossodyssey.data import itk, stacks
from lossodyssey.data.nifti import SILENT, read_nifti
from lossodyssey.data.pictures import read_picture
from lossodyssey.data.pixel_sizes import Spacing, beside, pixel_size, tagged, write_beside
from lossodyssey.data.sizes import RefusedError

NIFTI = (".nii.gz", ".nii")
TIFF = (".tif", ".tiff")
ITK = (".mha", ".mhd", ".seg.nrrd", ".nrrd", ".nhdr")
ENDINGS = (*NIFTI, ".png", *TIFF, ".jpg", ".jpeg", ".bmp", ".gif", *ITK)
WRITTEN = {".jpg": ".png", ".jpeg": ".png", ".bmp": ".png", ".gif": ".png"}
WRITTEN |= {".mhd": ".mha", ".nhdr": ".nrrd", ".seg.nrrd": ".nrrd"}


@dataclass(frozen=True)
class Grid:
    """Values as stored, with the affine from array indices to world, in mm: (4, 4) for volumes, (3, 3) for pictures.

    The axes of space come first: those of the file for NIfTI, MHA and NRRD volumes, (row, column) for pictures and
    (page, row, column) for a stack of TIFF pages. `colours` are the colours of a picture whose values are indices into
    a palette: labels are the indices, images the colours. `doubt` says why a volume's header does not tell how its axes
    lie; `notes` say which oddities were tolerated. Where the size of the pixels is not known, they are not `sized`, and
    1 wide.
    """

    path: Path
    values: NDArray[Any]
    affine: NDArray[numpy.float64]
    colours: NDArray[Any] | None = None
    doubt: str = ""
    notes: tuple[str, ...] = ()
    sized: bool = True

    @property
    def shown(self) -> NDArray[Any]:
        """The values of an image, where those of a label map may be indices into a palette."""
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
    """Return whether an image has three axes of space; where the name leaves it open, the header of the file says it.

    Raises:
        FileNotFoundError: there is no such file, and the name leaves it open.
        ValueError: the format is not one that is read, or the file is damaged.
    """
    kind = ending(path).lower()
    if kind not in TIFF + ITK:
        return kind in NIFTI
    _check_present(path)
    with _told(path):
        return stacks.layout(path).is_volume if kind in TIFF else itk.count_axes(path) == 3


def has_own_size(path: Path) -> bool:
    """Return whether the format keeps the spacing of its image, so that no other file needs to say it."""
    return ending(path).lower() in NIFTI + ITK


def share_axes(first: Path, other: Path) -> bool:
    """Return whether the axes of two files of equally many axes mean the same.

    The axes of a stack of pages run the other way round than those of a volume, and its affine does not say so.
    """
    return (ending(first).lower() in TIFF) == (ending(other).lower() in TIFF) or not is_volume(first)


def size_file(path: Path) -> Path | None:
    """Return the JSON file beside a picture that says how large its pixels are; None where there is none."""
    return None if has_own_size(path) else beside(path, stem(path))


def written_ending(path: Path) -> str:
    """Return the ending of label maps for an image: its own, or that of a format which keeps labels in one file.

    JPEG would blur labels, BMP and GIF hold few; MHD and NHDR are two files.
    """
    own = ending(path)
    return WRITTEN.get(own.lower(), own)


def read_grid(path: Path, spacing: Spacing = ()) -> Grid:
    """Read an image file; a warning names oddities that were tolerated.

    `spacing` is the pixel size of pictures that their data set says, which is believed before their own; files that
    keep their spacing are read with it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, cannot be read in full, or claims an implausible size; the text names the file.
        MemoryError: there is too little memory for it.
    """
    _check_present(path)
    grid = _read(path)
    if not has_own_size(path):
        grid = _sized(grid, spacing)
    for note in grid.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return grid


def _check_present(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")


def _read(path: Path) -> Grid:
    kind = ending(path).lower()
    with _told(path):
        if kind in NIFTI:
            image = read_nifti(path)
            return _checked(Grid(path, image.values, image.affine, None, image.doubt, image.notes))
        if kind in ITK:
            volume = itk.read_itk(path)
            return _checked(Grid(path, volume.values, volume.affine, None, volume.doubt))
        return _read_pixels(path, kind)


def _read_pixels(path: Path, kind: str) -> Grid:
    """Read a picture or a stack of them, whose pixels are 1 wide until their size is known."""
    found = stacks.layout(path) if kind in TIFF else None
    if found is None or found.plain:
        picture = read_picture(path)
        return Grid(path, picture.values, numpy.eye(3), picture.colours, notes=picture.notes, sized=False)
    values = stacks.read_stack(path)
    doubt = SILENT if found.is_volume else ""
    return Grid(path, values, numpy.eye(4 if found.is_volume else 3), None, doubt, sized=False)


def _sized(grid: Grid, spacing: Spacing) -> Grid:
    dims = len(grid.affine) - 1
    with _told(grid.path):
        tags = tagged(grid.path, dims) if ending(grid.path).lower() in TIFF else ()
    sizes = pixel_size(grid.path, stem(grid.path), dims, spacing, tags)
    return replace(grid, affine=numpy.diag([*sizes, 1.0]), sized=True) if sizes else grid


def _checked(grid: Grid) -> Grid:
    # A spacing of 0 would make every distance 0, and NaN in the affine every comparison false.
    dims = len(grid.affine) - 1
    if not (grid.values.ndim >= 2 and numpy.isfinite(grid.affine).all() and min(grid.spacing(dims)) > 0):
        raise ValueError(f"shape {grid.values.shape} or affine {grid.affine.tolist()} makes no grid")
    return grid


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the readers raise into errors that name the file and the fix."""
    try:
        with _quiet():
            yield
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

    Pictures and stacks keep no affine: where their pixels are not 1 wide, a JSON file beside them says how wide.
    Where the axes are not `oriented`, the header keeps the sizes of the voxels and says nothing of how they lie.

    Raises:
        ValueError: the format is not one that is written, or cannot hold the values.
    """
    kind = ending(path).lower()
    if kind in WRITTEN:
        raise ValueError(f"{path}: {kind} files are read and not written; write {WRITTEN[kind]}, which loses nothing")
    dims = min(len(affine) - 1, values.ndim)
    if (dims == 3 and kind not in NIFTI + ITK + TIFF) or (len(affine) == 3 and kind in NIFTI):
        raise ValueError(f"{path}: {kind} files hold no image of {dims} axes; expected .mha or .tif")
    stored = _storable(path, values)
    if kind not in NIFTI + ITK:
        sizes = tuple(float(size) for size in numpy.linalg.norm(affine[:-1, :-1], axis=0)[:dims])
        if set(sizes) != {1.0} or beside(path, stem(path)):
            write_beside(path, stem(path), sizes)
    with writing(path) as draft:
        if kind in ITK:
            itk.write_itk(draft, stored, affine)
        elif kind in NIFTI:
            _write_nifti(draft, stored, affine, oriented)
        elif dims == 3:
            stacks.write_stack(draft, stored)
        else:
            from PIL import Image

            Image.fromarray(stored).save(draft)


def _write_nifti(draft: Path, stored: NDArray[Any], affine: NDArray[numpy.float64], oriented: bool) -> None:
    picture = nibabel.Nifti1Image(stored, affine)  # type: ignore[no-untyped-call]
    picture.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    if not oriented:
        picture.set_sform(None, code=0)  # type: ignore[no-untyped-call]
        picture.set_qform(None, code=0)  # type: ignore[no-untyped-call]
    # By a file holder: nibabel refuses names whose endings mix small letters and capitals.
    picture.to_file_map({"image": nibabel.FileHolder(str(draft))})  # type: ignore[no-untyped-call]


def _storable(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in a type that the format keeps; refuse pictures that would lose their upper digits."""
    if values.dtype.kind != "i":
        return values
    if has_own_size(path):
        # nibabel refuses 64-bit integers, which many readers of NIfTI do not know.
        return values.astype(numpy.uint32) if values.dtype.itemsize > 4 else values
    if values.max(initial=0) > numpy.iinfo(numpy.uint16).max:
        raise ValueError(f"{path}: pictures hold labels up to 65535, found {values.max()}; write a .nii.gz file")
    return values.astype(numpy.uint16)
