"""One look at a case: its files are read once, and a few numbers and small pictures are kept of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data.check.edges import image_edges, label_edges
from lossodyssey.data.check.finding import Finding, Question, from_text
from lossodyssey.data.check.geometry import geometry
from lossodyssey.data.check.intensities import Intensities, intensities
from lossodyssey.data.check.labels import label_counts, label_findings
from lossodyssey.data.check.thumbnails import Floats, thumbnail
from lossodyssey.data.grids import Grid, read_grid
from lossodyssey.data.layouts import Case, Dataset
from lossodyssey.data.nifti import SILENT
from lossodyssey.data.volumes import channels_first, whole_numbers


@dataclass(frozen=True, eq=False)
class Sight:
    """The parts of a case that a check keeps; one that could not be read is None or empty.

    `shape` and `spacing` (mm) are the image's, `directions` those of its array axes such as RAS, empty where a header
    says nothing. `counts` are voxels by label. The `_edges` lie on a coarse grid, see `edges`.
    """

    case: Case
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    directions: str = ""
    intensities: Intensities | None = None
    thumbnail: Floats | None = None
    image_edges: NDArray[np.float16] | None = None
    image_digest: str = ""
    label_shape: tuple[int, ...] = ()
    counts: Mapping[int, int] = field(default_factory=dict)
    label_edges: NDArray[np.float16] | None = None
    label_digest: str = ""

    @property
    def name(self) -> str:
        """The name of the case."""
        return self.case.name

    @property
    def labelled(self) -> bool:
        """Whether the label map has more than one label, and so a border."""
        return self.label_edges is not None and len(self.counts) > 1


def look(dataset: Dataset, case: Case) -> tuple[Sight, list[Finding]]:
    """Read a case, and return what is kept of it with all that is wrong with it by itself."""
    found: list[Finding] = []
    grids = [grid for path in case.images if (grid := _read(path, case, found))]
    label = _read(case.label, case, found) if case.label else None
    seen: dict[str, Any] = {}
    if len(grids) == len(case.images):
        found += geometry(case, grids, label)
        seen |= _image(dataset, case, grids, found)
    if label is not None:
        seen |= _label(dataset, case, label, found)
    return Sight(case, **seen), found


def _read(path: Path, case: Case, found: list[Finding]) -> Grid | None:
    with _kept(case, "files", found):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            grid = read_grid(path)
        found += [from_text("warning", "files", case.name, str(each.message)) for each in said]
        return grid
    return None


@contextmanager
def _kept(case: Case, question: Question, found: list[Finding]) -> Iterator[None]:
    """Keep an error as a finding, so that the other cases are still looked at."""
    try:
        yield
    except (ValueError, OSError, MemoryError) as error:
        found.append(from_text("error", question, case.name, str(error)))


def _image(dataset: Dataset, case: Case, grids: Sequence[Grid], found: list[Finding]) -> dict[str, Any]:
    first = grids[0]
    with _kept(case, "intensities", found):
        parts = [channels_first(grid) for grid in grids]
        image = np.concatenate(parts) if len({part.shape[1:] for part in parts}) == 1 else parts[0]
        told, wrong = intensities(dataset, case, image)
        found += wrong
        clean = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
        shape = image.shape[1:]
        return {
            "shape": shape,
            "spacing": first.spacing(len(shape)),
            "directions": _directions(first),
            "intensities": told,
            "thumbnail": thumbnail(clean, whole=all(grid.values.dtype.kind in "bu" for grid in grids)),
            "image_edges": image_edges(clean),
            "image_digest": _digest(image),
        }
    return {}


def _label(dataset: Dataset, case: Case, grid: Grid, found: list[Finding]) -> dict[str, Any]:
    with _kept(case, "labels", found):
        labels = whole_numbers(grid)
        counts = label_counts(labels)
        found += label_findings(dataset, case, counts)
        return {
            "label_shape": labels.shape,
            "counts": counts,
            "label_edges": label_edges(labels),
            "label_digest": _digest(labels),
        }
    return {}


def _directions(grid: Grid) -> str:
    if grid.affine.shape != (4, 4) or grid.doubt == SILENT:
        return ""
    from nibabel.orientations import aff2axcodes

    return "".join(code or "?" for code in aff2axcodes(grid.affine))  # type: ignore[no-untyped-call]


def _digest(values: NDArray[Any]) -> str:
    """Compute a digest of shape and values, whatever the file's format and compression."""
    return sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()[:24]
