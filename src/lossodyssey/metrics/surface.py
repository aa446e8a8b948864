"""Where a mask's surface lies and how large each piece of it is.

A surface element sits on the grid between voxels: every point there sees 2^n voxels, and if some but not all of them
are foreground the surface passes through. Which of them are foreground is the point's neighbour code; the code
and the spacing give the element's area (marching cubes through edge midpoints; marching squares in 2D).
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from lossodyssey.metrics.distances import Planes, Surface, SurfacePair

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]


# Triangles of marching cubes as |area vectors| in eighths of a voxel face, parallel triangles added up. The other
# codes follow by symmetry of the cube and by exchanging foreground and background.
TRIANGLES: dict[int, tuple[tuple[int, int, int], ...]] = {
    0b00000001: ((1, 1, 1),),
    0b00000011: ((4, 4, 0),),
    0b00000110: ((2, 2, 2),),
    0b00000111: ((3, 3, 3), (4, 0, 0)),
    0b00001111: ((8, 0, 0),),
    0b00010110: ((3, 3, 3),),
    0b00010111: ((6, 6, 6),),
    0b00011000: ((2, 2, 2),),
    0b00011001: ((0, 4, 4), (1, 1, 1)),
    0b00011011: ((0, 2, 2), (2, 0, 2), (4, 4, 4)),
    0b00011110: ((4, 4, 4), (4, 0, 0)),
    0b00111100: ((8, 8, 0),),
    0b01101001: ((4, 4, 4),),
}
# Marching squares: |line vectors| in halves of a pixel edge.
LINES: dict[int, tuple[tuple[int, int], ...]] = {0b0001: ((1, 1),), 0b0011: ((0, 2),), 0b0110: ((2, 2),)}


def neighbour_codes(mask: Mask) -> Codes:
    """Encode the 2^n voxels around every grid point between voxels; shape (s + 1) along each axis.

    The first voxel in raster order gives the highest bit. One shift and one or per axis on the flat array; they may
    run over the ends of rows, which hold background.
    """
    codes = np.zeros([n + 1 for n in mask.shape], np.uint8)
    codes[(slice(-1),) * mask.ndim] = mask

    # Each axis doubles the voxels seen: after the first a point knows 2, then 4, then all 8 around it.
    flat = codes.reshape(-1)
    for step, axis in enumerate(reversed(range(mask.ndim))):
        stride = codes.strides[axis]
        flat[stride:] |= flat[:-stride] * np.uint8(1 << (1 << step))  # NumPy multiplies bytes faster than it shifts
    return codes


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (part,)


@lru_cache(maxsize=64)
def element_areas(spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Tabulate the area in mm^2 (2D: length in mm) of the surface element of each neighbour code."""
    areas = np.zeros(1 << (1 << len(spacing)))
    for code, vectors in _all_codes(len(spacing)).items():
        areas[code] = np.linalg.norm(vectors * _units(spacing), axis=1).sum()
    return areas


def _units(spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:

    if len(spacing) == 2:
        return np.array(spacing) / 2

    # An area vector's component along an axis scales with the product of the other two spacings.
    return math.prod(spacing) / np.array(spacing) / 8


@lru_cache(maxsize=2)
def _all_codes(dimensions: int) -> dict[int, npt.NDArray[np.float64]]:
    """Spread the patterns over the symmetries of the square or cube."""
    corners = list(product((0, 1), repeat=dimensions))
    patterns: dict[int, tuple[tuple[int, ...], ...]] = {**(LINES if dimensions == 2 else TRIANGLES)}
    codes = {}
    for axes in permutations(range(dimensions)):
        for flips in corners:
            # Bit k stands for corner k. `neighbour_codes` counts from the other end, which the flip of all axes undoes.
            moved = [corners.index(tuple(c[a] ^ f for a, f in zip(axes, flips, strict=True))) for c in corners]
            for code, vectors in patterns.items():
                image = sum(1 << moved[bit] for bit in range(len(corners)) if code >> bit & 1)
                turned = np.array(vectors, np.float64)[:, list(axes)]
                # A surface is the same seen from inside: the complement has the same area.
                codes[image] = codes[(1 << len(corners)) - 1 - image] = turned
    return codes


def surface_elements(
    prediction: Mask, truth: Mask, spacing: tuple[float, ...], planes: Planes | None = None
) -> SurfacePair:
    """Find the surface elements of two masks of equal shape; weights are areas in mm^2 (2D: lengths in mm).

    `planes` are the places of the masks' planes where some were left out.
    """
    areas = element_areas(spacing)
    codes = [neighbour_codes(mask) for mask in (prediction, truth)]
    # uint8 arithmetic wraps: empty (0) becomes 255 and full the bound itself, so one comparison finds the surface.
    full = np.uint8(len(areas) - 2)
    surfaces = [code - np.uint8(1) < full for code in codes]
    indices = [np.flatnonzero(surface) for surface in surfaces]
    # A grid point has the place of the voxel after it; the last one has none.
    between = planes and tuple(np.append(places, places[-1] + 1) for places in planes)
    return SurfacePair(
        *(
            Surface(grid, index, areas[code.ravel()[index]], spacing, between)
            for grid, index, code in zip(surfaces, indices, codes, strict=True)
        )
    )


def border_voxels(
    prediction: Mask, truth: Mask, spacing: tuple[float, ...], planes: Planes | None = None
) -> SurfacePair:
    """Find the border voxels of two masks: foreground with a background voxel across a face; weights are 1."""
    borders = [mask & ~_inside(mask) for mask in (prediction, truth)]
    indices = [np.flatnonzero(border) for border in borders]
    return SurfacePair(
        *(
            Surface(grid, index, np.ones(index.size), spacing, planes)
            for grid, index in zip(borders, indices, strict=True)
        )
    )


def _inside(mask: Mask) -> Mask:
    inside = mask.copy()
    for axis in range(mask.ndim):
        inside[_along(axis, slice(1, None))] &= mask[_along(axis, slice(None, -1))]
        inside[_along(axis, slice(None, -1))] &= mask[_along(axis, slice(1, None))]
        # Outside the image is background, so no voxel of the edge is inside.
        inside[_along(axis, slice(0, 1))] = inside[_along(axis, slice(-1, None))] = False
    return inside
