"""Masks cut out of a label map without the empty planes between far parts, so that memory follows the foreground.

One false voxel in the far corner of a scan makes the box of its class as large as the scan. The planes that lie
between far parts hold nothing of the class. They are left out, and every plane that stays keeps its place, from which
all distances are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lossodyssey.metrics.distances import Planes

Mask = npt.NDArray[np.bool_]
Select = Callable[[npt.NDArray[np.generic]], Mask]


SMALL = 1 << 20  # voxels; in a box up to here empty planes cost next to nothing
SLAB = 1 << 22  # voxels looked at together
WIDE = 16  # planes; a gap up to here is not looked for
KEPT = 2  # empty planes of a gap: one after the part before it, one before the part after it


def cut_out(maps: Sequence[npt.NDArray[np.generic]], select: Select) -> tuple[list[Mask], Planes | None]:
    """Select from every map of one box; the planes that were kept along each axis, None where all were."""
    kept = _kept_planes(maps, select)
    if kept is None:
        return [np.ascontiguousarray(select(labels)) for labels in maps], None
    return [np.ascontiguousarray(select(labels[np.ix_(*kept)])) for labels in maps], kept


def _kept_planes(maps: Sequence[npt.NDArray[np.generic]], select: Select) -> Planes | None:
    """Find the planes that hold anything and a few of the empty ones between them."""
    if maps[0].size <= SMALL or not _has_gap(maps, select):
        return None
    lines = [
        reduce(np.logical_or, found) for found in zip(*(_occupied(labels, select) for labels in maps), strict=True)
    ]
    kept = tuple(map(_shortened, lines))
    return None if all(planes.size == line.size for planes, line in zip(kept, lines, strict=True)) else kept


def _has_gap(maps: Sequence[npt.NDArray[np.generic]], select: Select) -> bool:
    """Return whether there may be a wide gap: one of the planes looked at, every `WIDE`-th, holds nothing."""
    dimensions = maps[0].ndim
    for axis in range(dimensions):
        # A compact class fills all of them, so the common case costs a sixteenth of a pass per axis.
        every = (slice(None),) * axis + (slice(None, None, WIDE),)
        others = tuple(other for other in range(dimensions) if other != axis)
        if not reduce(np.logical_or, (select(labels[every]).any(axis=others) for labels in maps)).all():
            return True
    return False


def _occupied(labels: npt.NDArray[np.generic], select: Select) -> list[Mask]:
    """Mark, along each axis, the planes that hold anything; slab by slab along the axis of widest stride."""
    # NIfTI arrays come in Fortran order: transposed, a slab is one run of memory.
    if labels.strides[0] < labels.strides[-1]:
        return _occupied(labels.T, select)[::-1]
    rows, across = np.zeros(labels.shape[0], np.bool_), np.zeros(labels.shape[1:], np.bool_)

    step = max(1, SLAB // max(across.size, 1))
    for start in range(0, rows.size, step):
        mask = select(labels[start : start + step])
        rows[start : start + step] = mask.any(axis=tuple(range(1, mask.ndim)))
        across |= mask.any(axis=0)

    sides = [across] if across.ndim == 1 else [across.any(axis=1), across.any(axis=0)]
    return [rows, *sides]


def _shortened(line: Mask) -> npt.NDArray[np.intp]:
    """List the places of the occupied planes and, of those between two of them, the first and the last."""
    full = np.flatnonzero(line)
    kept = [full[:1]]
    for before, after in pairwise(full):
        # An empty plane on either side of a part closes its surface there, as the whole gap would.
        between = np.arange(before + 1, after)
        kept += [between if between.size <= KEPT else between[[0, -1]], np.array([after])]
    return np.concatenate(kept)
