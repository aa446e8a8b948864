"""Exact distances from every point of one surface to the nearest point of another, in mm.

Points of both surfaces lie on one grid. Points that both share are at distance 0. For the rest, two sweeps give every
grid point the steps to the target along one axis, its column; the columns around a source point are then tried in the
order of their distance across, and a point is done as soon as the next column is farther away than the best so far.
What is still open far out goes to a KD-tree.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Grid = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Distances = npt.NDArray[np.float64]

COLUMNS = 500  # columns worth trying before the KD-tree


class Surface:
    """The points of one surface: a boolean grid, their flat indices, a weight for each, spacing in mm."""

    def __init__(
        self, grid: Grid, index: Indices, weights: npt.NDArray[np.float64], spacing: tuple[float, ...]
    ) -> None:
        self.grid = grid
        self.index = index
        self.weights = weights
        self.spacing = spacing

    @cached_property
    def points(self) -> Indices:
        return np.stack(np.unravel_index(self.index, self.grid.shape), axis=1)

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points * self.spacing, balanced_tree=False, compact_nodes=False)

    @cached_property
    def columns(self) -> Columns:
        return Columns(self.grid, self.spacing)


class Columns:
    """The steps from every grid point to the nearest surface point along the axis of finest spacing.

    `steps` has that axis first and the other axes padded by the reach of the offsets; a column without surface holds
    the axis's length, whose square in `squares` is infinite.
    """

    def __init__(self, grid: Grid, spacing: tuple[float, ...]) -> None:
        self.axis = spacing.index(min(spacing))
        across = _without(spacing, self.axis)
        self.shells = column_shells(across)
        self._reach = np.array([0, *_reach(across)])
        turned = np.moveaxis(grid, self.axis, 0)
        length = len(turned)
        shape = turned.shape + 2 * self._reach
        steps = np.full(shape, length, np.uint16 if length < 2**16 else np.uint32)
        inner = tuple(slice(r, n - r) for r, n in zip(self._reach, shape, strict=True))
        steps[inner] *= ~turned
        self.steps = _sweep(steps)
        self.squares = np.append((np.arange(length) * spacing[self.axis]) ** 2, np.inf)
        self.strides = np.array(steps.strides) // steps.itemsize

    def places(self, points: Indices) -> Indices:
        """Give the flat index of grid points in `steps`."""
        order = [self.axis, *(axis for axis in range(points.shape[1]) if axis != self.axis)]
        places: Indices = (points[:, order] + self._reach) @ self.strides
        return places

    def nearest(self, places: Indices, offsets: Indices) -> Distances:
        """Give the least squared distance in mm^2 along the columns at these offsets from each place."""
        flat = self.steps.ravel()
        least = flat[places + offsets[0]]
        for offset in offsets[1:]:
            np.minimum(least, flat[places + offset], out=least)
        found: Distances = self.squares[least]
        return found


def _sweep(steps: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
    """Spread the zeros along the first axis, forth and back, one step at a time."""
    for run in (steps, steps[::-1]):
        for before, here in pairwise(run):
            np.minimum(here, before + 1, out=here)
    return steps


class DirectedDistances:
    """From each point of `source` to the nearest of `target`; computed as far as it is asked for."""

    def __init__(self, source: Surface, target: Surface) -> None:
        self.source = source
        self.target = target
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
        """Distances of which all up to `limit` mm are exact; a longer one may read too long."""
        if self._open.size and self._reached <= limit and self.target.index.size:
            self._search_columns(limit)
            if self._open.size and self._reached <= limit:
                self._search_tree()
        return self._values

    def _search_columns(self, limit: float) -> None:
        columns = self.target.columns
        places = columns.places(self.source.points[self._open])
        best = self._values[self._open] ** 2
        for length, offsets in columns.shells[self._tried :]:
            done = best <= length**2
            if done.any():
                self._values[self._open[done]] = np.sqrt(best[done])
                self._open, places, best = self._open[~done], places[~done], best[~done]
            self._reached = length
            if length > limit or not self._open.size:
                break
            np.minimum(best, columns.nearest(places, offsets @ columns.strides[1:]) + length**2, out=best)
            self._tried += 1
        self._values[self._open] = np.sqrt(best)

    def _search_tree(self) -> None:
        points = self.source.points[self._open]
        _, nearest = self.target.tree.query(points * self.source.spacing)
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
    """Give the offsets of columns by distance: (distance in mm, offsets at that distance), nearest first."""
    steps = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in _reach(spacing)), indexing="ij"), axis=-1)
    steps = steps.reshape(-1, len(spacing))
    lengths = np.sqrt(((steps * spacing) ** 2).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    groups = groupby(order[lengths[order] <= _radius(spacing)], key=lengths.__getitem__)
    return tuple((float(length), steps[list(members)]) for length, members in groups)


def _radius(spacing: tuple[float, ...]) -> float:
    """Choose the half-length of the interval, or the radius of the disc, that holds about `COLUMNS` columns."""
    if len(spacing) == 1:
        return COLUMNS * spacing[0] / 2
    return math.sqrt(COLUMNS * spacing[0] * spacing[1] / math.pi)


def _reach(spacing: tuple[float, ...]) -> tuple[int, ...]:
    """Count the steps across that stay within the radius."""
    return tuple(int(_radius(spacing) / step) for step in spacing)


def _without(spacing: tuple[float, ...], axis: int) -> tuple[float, ...]:
    return spacing[:axis] + spacing[axis + 1 :]
