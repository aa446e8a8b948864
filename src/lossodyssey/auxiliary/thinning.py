"""Thinning of a mask to its centre lines: by scikit-image where it is installed, else by the same rules in NumPy.

In 2D the rules are those of Zhang and Suen (1984) with scikit-image's exceptions, so that the lines are the same. In 3D
voxels are removed from six sides in turn, where neither the number of objects, tunnels and cavities changes nor a line
gets shorter (Lee et al. 1994). Touching voxels are tried in a different order than in scikit-image, so the lines may
lie elsewhere.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Mask = npt.NDArray[np.bool_]
Voxels = npt.NDArray[np.intp]
"""The places of some voxels in a flattened volume."""
Cubes = npt.NDArray[np.bool_]
"""The 26 neighbours of some voxels, (voxels, 26)."""

RING = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
"""The neighbours of a pixel in 2D, around it: north first, clockwise."""
LEAVE = ("02 24 06 46 016 056 0156 027 467", "24 06 46 023 245 1245 346")
STAY = ("23 34 45 56 67 234 456", "01 12 34 07 67 012 067")
"""Where scikit-image's table differs from the paper in each half step, read off its results: the neighbours present."""
CUBE = [step for step in product((-1, 0, 1), repeat=3) if any(step)]


def skeleton(mask: Tensor) -> Tensor:
    """Return the centre lines of a boolean mask (*S) on the CPU.

    Raises:
        ValueError: the mask does not have 2 or 3 axes.
    """
    array = mask.numpy()
    if array.ndim not in (2, 3):
        raise ValueError(f"a skeleton of {array.ndim} spatial axes was asked for, expected 2 or 3")
    if not array.any():
        return mask.clone()
    if (package := fast_package()) is not None:
        return torch.from_numpy(package.skeletonize(np.ascontiguousarray(array)).astype(np.bool_))
    return torch.from_numpy(thin_2d(array) if array.ndim == 2 else thin_3d(array))


@cache
def fast_package() -> Any | None:
    """Return scikit-image's morphology, where it is installed."""
    try:
        return import_module("skimage.morphology")
    except ImportError:
        return None


def thin_2d(mask: Mask) -> Mask:
    """Return the centre lines of a mask: pixels are removed from the south-east and from the north-west in turn."""
    image = np.pad(mask, 1)
    rows, columns = mask.shape
    ring = [image[1 + y : 1 + y + rows, 1 + x : 1 + x + columns] for y, x in RING]
    inner, changed = image[1:-1, 1:-1], True
    while changed:
        changed = False
        for table in _tables():
            code = sum(side.astype(np.uint8) << k for k, side in enumerate(ring))
            leaving = table[code] & inner
            inner &= ~leaving
            changed |= bool(leaving.any())
    return inner.copy()


@cache
def _tables() -> tuple[Mask, Mask]:
    """Return whether a pixel is removed in each half step, by the code of its ring: bit k for its neighbour k."""
    rings = np.arange(256)[:, None] >> np.arange(8) & 1 == 1
    north, _, east, _, south, _, west, _ = rings.T
    count, begins = rings.sum(1), (~rings & np.roll(rings, -1, 1)).sum(1)
    # Zhang and Suen: 2 to 6 neighbours, in one run around the pixel.
    removable = (count >= 2) & (count <= 6) & (begins == 1)
    # First half step: pixels of the south-east border; second: those of the north-west.
    tables = removable & ~(east & south & (north | west)), removable & ~(north & west & (east | south))
    for table, leave, stay in zip(tables, LEAVE, STAY, strict=True):
        for neighbours, leaves in [(text, True) for text in leave.split()] + [(text, False) for text in stay.split()]:
            table[sum(1 << int(k) for k in neighbours)] = leaves
    return tables


def thin_3d(mask: Mask) -> Mask:
    """Return the centre lines of a mask, from which no further voxel can be removed."""
    image = np.pad(mask, 1)
    rows, columns = image.shape[1:]
    steps = np.array(CUBE) @ (rows * columns, columns, 1)
    flat, part = image.ravel(), _parts(image.shape)
    changed = True
    while changed:
        changed = False
        # From each of the six sides in turn, so that the lines stay in the middle.
        for side in np.flatnonzero(np.abs(CUBE).sum(1) == 1):
            voxels = _removable(flat, steps, steps[side])
            for number in range(8):
                # Checked again: neighbours may have been removed with an earlier part.
                some = voxels[part[voxels] == number]
                leaving = some[_simple(flat[some[:, None] + steps])]
                flat[leaving] = False
                changed |= len(leaving) > 0
    return image[1:-1, 1:-1, 1:-1].copy()


def _parts(shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Return the voxels of a volume in eight parts in which none touches another: a part can be removed at once."""
    slices, rows, columns = np.ogrid[tuple(slice(n) for n in shape)]
    parts: npt.NDArray[np.int8] = (slices % 2 * 4 + rows % 2 * 2 + columns % 2).astype(np.int8).ravel()
    return parts


def _removable(flat: Mask, steps: Voxels, side: int) -> Voxels:
    """Return the voxels to remove from a side: background lies there, they end no line, and the topology stays."""
    voxels = np.flatnonzero(flat)
    voxels = voxels[~flat[voxels + side]]
    around = flat[voxels[:, None] + steps]
    found: Voxels = voxels[(around.sum(1) > 1) & _simple(around)]
    return found


def _simple(around: Cubes) -> Mask:
    """Return whether removing the voxel keeps the topology: one piece of object and one of background surround it.

    Objects hold together through corners, background through faces and within the 18 neighbours that share an edge.
    """
    words = np.packbits(np.pad(around, ((0, 0), (0, 6))), 1).view(np.uint32)[:, 0]
    _, kinds, kind = np.unique(words, return_index=True, return_inverse=True)  # few kinds of surroundings occur
    around, steps = around[kinds], np.array(CUBE)
    apart = np.abs(steps[:, None] - steps[None])
    near = np.abs(steps).sum(1) < 3
    objects = _pieces_are_one(around, apart.max(2) == 1, np.ones(26, dtype=np.bool_))
    through_faces = (apart.sum(2) == 1) & near & near[:, None]
    simple: Mask = objects & _pieces_are_one(~around & near, through_faces, np.abs(steps).sum(1) == 1)
    return simple[kind]


def _pieces_are_one(present: Cubes, touches: Mask, counted: Mask) -> Mask:
    """Return whether the present neighbours that are counted form exactly one piece."""
    wanted = present & counted
    some, links = wanted.any(1), touches.astype(np.float32)
    reached: Cubes = np.zeros_like(present)
    reached[np.flatnonzero(some), wanted[some].argmax(1)] = True
    size = -1
    while size != (size := int(reached.sum())):
        touched: Cubes = np.greater(reached.astype(np.float32) @ links, 0)
        np.logical_or(reached, present & touched, out=reached)
    one: Mask = np.logical_and(some, ~(wanted & ~reached).any(1))
    return one
