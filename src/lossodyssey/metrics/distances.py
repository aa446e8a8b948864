"""Exact distances from every point of one surface to the nearest point of another, in mm.

Points of both surfaces lie on one grid. Points that both share are at distance 0. For the rest, two sweeps give every
grid point the steps to the target along one axis, its column; the columns around a source point are then tried in the
order of their distance across, and a point is done as soon as the next column is farther away than the best so far.
Points that are still open far out go to a KD-tree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Grid = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Distances = npt.NDArray[np.float64]
Planes = tuple[Indices, ...]

COLUMNS = 500  # columns tried before the KD-tree takes over


class Surface:
    """The points of one surface: a boolean grid, their flat indices, a weight for each, spacing in mm.

    `planes` are the places of the grid's planes along each axis, where empty ones were left out between far parts.
    """

    def __init__(
        self,
        grid: Grid,
        index: Indices,
        weights: npt.NDArray[np.float64],
        spacing: tuple[float, ...],
        planes: Planes | None = None,
    ) -> None:
        self.grid = grid
        self.index = index
        self.weights = weights
        self.spacing = spacing
        self.planes = planes

    @cached_property
    def cells(self) -> Indices:
        """Indices of the points in the grid (count, dimensions)."""
        return np.stack(np.unravel_index(self.index, self.grid.shape), axis=1)

    @cached_property
    def points(self) -> Indices:
        """Places of the points (count, dimensions), in steps along each axis."""
        if self.planes is None:
            return self.cells
        return np.stack([planes[cells] for planes, cells in zip(self.planes, self.cells.T, strict=True)], axis=1)

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points * self.spacing, balanced_tree=False, compact_nodes=False)

    @cached_property
    def columns(self) -> Columns:
        return Columns(self.grid, self.spacing, self.planes)


class Columns:
    """The steps from every grid point to the nearest surface point along the axis of finest spacing.

    `steps` has that axis first and the other axes padded by the reach of the offsets; a column without surface holds
    the axis's length, whose square in `squares` is infinite. `planes` as for `Surface`.
    """

    def __init__(self, grid: Grid, spacing: tuple[float, ...], planes: Planes | None = None) -> None:
        # Along the finest axis a column holds most steps per mm, so the fewest columns lie within a distance.
        self.axis = spacing.index(min(spacing))
        across = _without(spacing, self.axis)
        self.shells = column_shells(across)
        self._reach = np.array([0, *_reach(across)])

        turned = np.moveaxis(grid, self.axis, 0)
        kept = None if planes is None else [planes[axis] for axis in self._order(len(planes))]
        along = np.arange(len(turned)) if kept is None else kept[0]
        length, gaps = int(along[-1]) + 1 if along.size else 0, np.diff(along).tolist()

        # Padding lets every offset index without a check of bounds; no column of the padding holds a surface.
        shape = turned.shape + 2 * self._reach
        steps = np.full(shape, length, np.uint16 if length + max(gaps, default=0) < 2**16 else np.uint32)
        inner = tuple(slice(r, n - r) for r, n in zip(self._reach, shape, strict=True))
        steps[inner] *= ~turned
        self.steps = _sweep(steps, gaps)

        # The length stands for "no surface in this column"; looked up, it is infinitely far.
        self.squares = np.append((np.arange(length) * spacing[self.axis]) ** 2, np.inf)
        self.strides = np.array(steps.strides) // steps.itemsize
        self._rows = None if kept is None else self._rows_of(kept[1:])

    def _order(self, dimensions: int) -> list[int]:
        return [self.axis, *(axis for axis in range(dimensions) if axis != self.axis)]

    def _rows_of(self, kept: Sequence[Indices]) -> list[Indices]:
        """Tabulate for each axis across, by padded place, where its row of columns begins; the padding if left out."""
        tables = []
        for planes, reach, stride in zip(kept, self._reach[1:], self.strides[1:], strict=True):
            table = np.zeros(planes[-1] + 1 + 2 * reach, np.intp)
            table[planes + reach] = (np.arange(planes.size) + reach) * stride
            tables.append(table)
        return tables

    def places(self, source: Surface, chosen: Indices) -> Indices:
        """Return the chosen points' flat index in `steps`; with planes left out, their places along and across."""
        order = self._order(len(source.spacing))
        cells = source.cells[chosen][:, order]
        places: Indices
        if self._rows is None:
            # On a dense grid a column's neighbour lies a constant stride away: one number per place is enough.
            places = (cells + self._reach) @ self.strides
        else:
            # With planes left out the stride depends on the place, which `_rows` looks up.
            places = source.points[chosen][:, order] + self._reach
            places[:, 0] = cells[:, 0] * self.strides[0]
        return places

    def nearest(self, places: Indices, offsets: Indices) -> Distances:
        """Return the least squared distance in mm^2 along the columns at these offsets from each place."""
        flat = self.steps.ravel()
        # The minimum is taken of whole steps, in small integers; one table turns the few that remain into mm^2.
        least = flat[self._moved(places, offsets[0])]
        for offset in offsets[1:]:
            np.minimum(least, flat[self._moved(places, offset)], out=least)
        found: Distances = self.squares[least]
        return found

    def _moved(self, places: Indices, offset: Indices) -> Indices:
        """Return the flat index in `steps` of the columns that lie `offset` across."""
        moved: Indices
        if self._rows is None:
            moved = places + offset @ self.strides[1:]
        else:
            rows = (table[places[:, 1 + k] + offset[k]] for k, table in enumerate(self._rows))
            moved = sum(rows, places[:, 0])
        return moved


def _sweep(steps: npt.NDArray[np.unsignedinteger], gaps: Sequence[int]) -> npt.NDArray[np.unsignedinteger]:
    """Spread the zeros along the first axis, forth and back, from plane to plane; `gaps` are the steps between them."""
    # Two sweeps make the distance along one axis exact (Rosenfeld and Pfaltz 1966).
    for run, widths in ((steps, gaps), (steps[::-1], gaps[::-1])):
        for (before, here), width in zip(pairwise(run), widths, strict=True):
            np.minimum(here, before + width, out=here)
    return steps


class DirectedDistances:
    """From each point of `source` to the nearest of `target`; computed only as far as they are asked for."""

    def __init__(self, source: Surface, target: Surface) -> None:
        self.source = source
        self.target = target
        # Most points of a good prediction lie on the truth's surface: they are done before any search.
        shared = target.grid.ravel()[source.index]
        self._values = np.where(shared, 0.0, np.inf)
        self._open = np.flatnonzero(~shared)
        self._tried = 0  # shells of columns
        self._reached = 0.0  # distances below this are final

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        return self.source.weights

    @property
    def values(self) -> Distances:
        """All distances in mm, in the source's raster order."""
        return self.up_to(np.inf)

    def up_to(self, limit: float) -> Distances:
        """Return distances of which all up to `limit` mm are exact; a longer one may read too long."""
        if self._open.size and self._reached <= limit and self.target.index.size:
            self._search_columns(limit)
            if self._open.size and self._reached <= limit:
                self._search_tree()
        return self._values

    def _search_columns(self, limit: float) -> None:
        columns = self.target.columns
        places = columns.places(self.source, self._open)
        best = self._values[self._open] ** 2

        for length, offsets in columns.shells[self._tried :]:
            # No column of this shell or beyond is nearer than the shell itself, so nothing can improve on these.
            done = best <= length**2
            if done.any():
                self._values[self._open[done]] = np.sqrt(best[done])
                self._open, places, best = self._open[~done], places[~done], best[~done]
            # Everything below this distance is final: a later call with a smaller limit returns at once.
            self._reached = length
            if length > limit or not self._open.size:
                break
            np.minimum(best, columns.nearest(places, offsets) + length**2, out=best)
            self._tried += 1

        self._values[self._open] = np.sqrt(best)

    def _search_tree(self) -> None:
        points = self.source.points[self._open]
        _, nearest = self.target.tree.query(points * self.source.spacing)
        # The tree knows rounded places in mm; the distance is computed again, from whole steps.
        steps = (points - self.target.points[nearest]) * np.array(self.source.spacing)
        self._values[self._open] = np.sqrt((steps**2).sum(axis=1))
        self._open, self._reached = self._open[:0], np.inf


class SurfacePair:
    """Both surfaces and the distances both ways."""

    def __init__(self, prediction: Surface, truth: Surface) -> None:
        self.prediction_to_truth = DirectedDistances(prediction, truth)
        self.truth_to_prediction = DirectedDistances(truth, prediction)

    @property
    def both_ways(self) -> tuple[DirectedDistances, DirectedDistances]:
        return self.prediction_to_truth, self.truth_to_prediction


@lru_cache(maxsize=64)
def column_shells(spacing: tuple[float, ...]) -> tuple[tuple[float, Indices], ...]:
    """Return the offsets of columns by distance: (distance in mm, offsets at that distance), nearest first."""
    steps = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in _reach(spacing)), indexing="ij"), axis=-1)
    steps = steps.reshape(-1, len(spacing))
    lengths = np.sqrt(((steps * spacing) ** 2).sum(axis=1))
    # Columns at equal distance form one shell: a point need not be looked at between them.
    order = np.argsort(lengths, kind="stable")
    groups = groupby(order[lengths[order] <= _radius(spacing)], key=lengths.__getitem__)
    return tuple((float(length), steps[list(members)]) for length, members in groups)


def _radius(spacing: tuple[float, ...]) -> float:
    """Choose the half-length of the interval, or the radius of the disc, that holds about `COLUMNS` columns."""
    if len(spacing) == 1:
        return COLUMNS * spacing[0] / 2
    # pi r^2 / (a b) columns of a x b mm lie in a disc of radius r.
    return math.sqrt(COLUMNS * spacing[0] * spacing[1] / math.pi)


def _reach(spacing: tuple[float, ...]) -> tuple[int, ...]:
    """Count the steps across that stay within the radius."""
    return tuple(int(_radius(spacing) / step) for step in spacing)


def _without(spacing: tuple[float, ...], axis: int) -> tuple[float, ...]:
    return spacing[:axis] + spacing[axis + 1 :]
