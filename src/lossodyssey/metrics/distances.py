"""Exact distances from every point of one surface to the nearest point of another, in mm.

Points of both surfaces lie on one grid. Points that both share are at distance 0. The rest is looked up at grid
offsets in the order of their length, so the first hit is the nearest; what is still open after that, or too little
to be worth it, goes to a KD-tree.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Grid = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Distances = npt.NDArray[np.float64]

OFFSETS = 400  # grid offsets worth trying before the KD-tree
FEW = 1500  # open points below which the KD-tree is faster


class Surface:
    """The points of one surface: a boolean grid, a weight per point in raster order, spacing in mm."""

    def __init__(self, grid: Grid, weights: npt.NDArray[np.float64], spacing: tuple[float, ...]) -> None:
        self.grid = grid
        self.weights = weights
        self.spacing = spacing

    @cached_property
    def index(self) -> Indices:
        return np.flatnonzero(self.grid)

    @cached_property
    def points(self) -> Indices:
        return np.stack(np.unravel_index(self.index, self.grid.shape), axis=1)

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points * self.spacing, balanced_tree=False, compact_nodes=False)

    @cached_property
    def padded(self) -> Grid:
        """The grid with room for every offset at each end."""
        reach = offset_reach(self.spacing)
        padded = np.zeros([n + 2 * r for n, r in zip(self.grid.shape, reach, strict=True)], np.bool_)
        padded[tuple(slice(r, r + n) for n, r in zip(self.grid.shape, reach, strict=True))] = self.grid
        return padded

    def padded_index(self, positions: Indices) -> Indices:
        places: Indices = (self.points[positions] + offset_reach(self.spacing)) @ np.array(self.padded.strides)
        return places


class DirectedDistances:
    """From each point of `source` to the nearest of `target`; computed as far as it is asked for."""

    def __init__(self, source: Surface, target: Surface) -> None:
        self.source = source
        self.target = target
        shared = target.grid.ravel()[source.index]
        self._values = np.where(shared, 0.0, np.inf)
        self._open = np.flatnonzero(~shared)
        self._reached = 0.0

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        return self.source.weights

    @property
    def values(self) -> Distances:
        """All distances in mm, in the source's raster order."""
        return self.up_to(np.inf)

    def up_to(self, limit: float) -> Distances:
        """Distances of which all up to `limit` mm are exact; a longer one may still read infinity."""
        if self._open.size and self._reached < limit and self.target.index.size:
            self._search_offsets(limit)
            if self._open.size and self._reached < limit:
                self._search_tree()
        return self._values

    def _search_offsets(self, limit: float) -> None:
        few = FEW if limit > shells(self.source.spacing)[-1][0] else 0
        if self._open.size <= few:
            return
        grid = self.target.padded
        flat, strides = grid.ravel(), np.array(grid.strides)
        places = self.source.padded_index(self._open)
        for length, offsets in shells(self.source.spacing):
            if length > limit:
                self._reached = limit
                return
            if self._open.size <= few:
                return
            if length > self._reached:
                hit = np.logical_or.reduce([flat[places + step] for step in offsets @ strides])
                self._values[self._open[hit]] = length
                self._open, places = self._open[~hit], places[~hit]
                self._reached = length

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
def shells(spacing: tuple[float, ...]) -> tuple[tuple[float, Indices], ...]:
    """Give the grid offsets around a point by length: (length in mm, offsets of that length), shortest first."""
    reach = offset_reach(spacing)
    steps = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    steps = steps.reshape(-1, len(spacing))
    lengths = np.sqrt(((steps * spacing) ** 2).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    order = order[(lengths[order] > 0) & (lengths[order] <= _radius(spacing))]
    groups = groupby(order, key=lengths.__getitem__)
    return tuple((float(length), steps[list(members)]) for length, members in groups)


def offset_reach(spacing: tuple[float, ...]) -> tuple[int, ...]:
    """Count the steps per axis that the longest offset takes."""
    return tuple(int(_radius(spacing) / step) for step in spacing)


def _radius(spacing: tuple[float, ...]) -> float:
    """Choose the radius in mm of the ball (2D: disc) that holds about `OFFSETS` grid points."""
    volume = OFFSETS * float(np.prod(spacing))
    if len(spacing) == 2:
        return float(np.sqrt(volume / np.pi))
    return float(np.cbrt(volume * 3 / (4 * np.pi)))
