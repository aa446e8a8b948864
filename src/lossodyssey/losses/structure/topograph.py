"""Topograph: wrong regions that change which objects and holes there are."""

from __future__ import annotations

from itertools import product
from math import inf
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lossodyssey.auxiliary.components import Connectivity, numbered
from lossodyssey.core.grids import CriticalLoss

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class Topograph(CriticalLoss, paper="lux2025", range=(0, inf), alone=False):
    r"""Topograph loss: the error in the wrong regions that split, merge, add or remove objects or holes.

    $\sum_{R} \frac{1}{|R|} \sum_{i \in R} |s_i - g_i|$ per sample and class over the critical regions R, then the
    mean. The hard prediction laid over the truth gives regions of true and false positives and negatives. A false
    region is harmless, and costs nothing, if it touches exactly one region of true negatives and exactly one object
    of the other mask: of the truth for a false positive, of the prediction for a false negative. Every other one is
    critical. `aggregation` takes the sum, the greatest, the least or the root mean square of a region's errors for
    the mean.

    For vessels, membranes and cells, beside a region loss; it is 0 as soon as the topology is right. The value grows
    with the number of critical regions, which is in the hundreds for a noisy prediction: give it a small weight, and
    let it start late (`DiceCE() + Ramp(0, 0.1) * Topograph()`). Voxels of an object may touch in a corner, those of
    the background share a face (8 and 4 neighbours in a plane, 26 and 6 in a volume); with `connectivity="faces"`
    voxels of an object share a face, too. In a plane no change of the number of objects or holes is free. In a volume
    the rule sees pieces and cavities; a tunnel, as where a gap opens in a closed ring, goes unseen. Voxels that do
    not count are background of both masks.
    """

    aggregation: Literal["mean", "sum", "max", "min", "rms"] = "mean"
    connectivity: Connectivity = "full"

    def points(self, s: Tensor, g: Tensor, predicted: Tensor, true: Tensor) -> tuple[Tensor, ...]:
        regions = critical_regions(predicted.cpu().numpy(), true.cpu().numpy(), self.connectivity).ravel()
        index = np.flatnonzero(regions)
        weight = np.ones(len(index))
        if self.aggregation in ("mean", "rms"):
            weight = 1 / np.bincount(regions)[regions[index]]
        elif self.aggregation in ("max", "min"):
            errors = (s - g).abs().flatten().cpu().numpy()
            index = greatest(regions, errors if self.aggregation == "max" else -errors)
            weight = weight[: len(index)]
        where = torch.as_tensor(index, device=g.device)
        number = torch.as_tensor(np.unique(regions[index], return_inverse=True)[1], device=g.device)
        return where, g.flatten()[where], g.new_tensor(weight), number

    def formula(self, s: Tensor, g: Tensor, weight: Tensor, number: Tensor) -> Tensor:
        if self.aggregation != "rms":
            return (weight * (s - g).abs()).sum(dtype=torch.float64)
        means = weight.new_zeros(len(weight)).index_add(0, number, weight * (s - g) ** 2)
        return means[means > 0].sqrt().sum(dtype=torch.float64)


def critical_regions(predicted: Mask, true: Mask, connectivity: Connectivity = "full") -> Numbers:
    """Return the numbers (*S), from 1 on, of the regions of wrong voxels that change the topology, 0 elsewhere."""
    # A frame of nothing, so that every voxel has all neighbours: outside of the image there is no background either.
    predicted, true, calm = (np.pad(mask, 1) for mask in (predicted, true, ~(predicted | true)))
    # The number of axes in which touching voxels may differ: it is 1 for either the objects or the background.
    most, rest, between = (calm.ndim, 1, calm) if connectivity == "full" else (1, calm.ndim, predicted & true)
    inside = (slice(1, -1),) * calm.ndim
    critical = np.zeros(calm.shape, dtype=np.int64)
    if (predicted == true).all():
        return critical[inside]

    background = components(calm, "faces")
    for wrong, objects in ((predicted & ~true, true), (true & ~predicted, predicted)):
        regions = wrong_regions(wrong, between)
        calms = touching(regions, background, steps(calm.shape, rest))
        pieces = touching(regions, components(objects, connectivity), steps(calm.shape, most))
        bad = ((calms != 1) | (pieces != 1))[regions] & wrong
        critical[bad] = regions[bad] + critical.max()
    return critical[inside]


def wrong_regions(wrong: Mask, between: Mask) -> Numbers:
    """Return the numbers of the regions of wrong voxels of one kind.

    Voxels that share a face are of one region. Voxels that touch in a corner are, too, where all other voxels around
    that corner are `between`, true negatives if objects touch in corners: else the region would be torn apart.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts, free = components(wrong, "faces"), between.ravel()
    flat, inside, pairs = parts.ravel(), np.flatnonzero(parts), [np.zeros((2, 0), dtype=np.int64)]
    for step, box in corners(between.shape):
        here = inside[flat[inside + step] > 0]
        for other in box:
            here = here[free[here + other]]
        pairs.append(np.stack([flat[here], flat[here + step]]))

    ends, size = np.concatenate(pairs, 1), int(flat.max()) + 1
    graph = coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(size, size))
    return np.where(wrong, connected_components(graph, directed=False)[1][parts] + 1, 0)


def touching(regions: Numbers, others: Numbers, steps: list[int]) -> Numbers:
    """Return how many of the other components lie a step away from each region, by the region's number."""
    here, most = np.flatnonzero(regions), int(others.max()) + 1
    found = [np.zeros(0, dtype=np.int64)]
    for step in steps:
        there = others.ravel()[here + step]
        # One number per pair of region and component: distinct pairs are counted by region below.
        found.append(np.unique((regions.ravel()[here] * most + there)[there > 0]))
    return np.bincount(np.unique(np.concatenate(found)) // most, minlength=int(regions.max()) + 1)


def greatest(regions: Numbers, errors: npt.NDArray[Any]) -> Numbers:
    """Return the flat index of the voxel of each region that has the greatest error."""
    index = np.flatnonzero(regions)
    # By region, and within it by falling error: the first entry of a region is its greatest.
    order = index[np.lexsort((-errors[index], regions[index]))]
    return order[np.unique(regions[order], return_index=True)[1]]


def components(mask: Mask, connectivity: Connectivity) -> Numbers:
    """Return the numbers of a mask's components, int64."""
    return numbered(torch.from_numpy(mask), connectivity).numpy().astype(np.int64)


def steps(shape: tuple[int, ...], most: int) -> list[int]:
    """Return how far apart neighbours lie in memory that differ along `most` axes or fewer."""
    strides = strides_of(shape)
    return [int(np.dot(way, strides)) for way in ways(len(shape)) if np.count_nonzero(way) <= most]


def corners(shape: tuple[int, ...]) -> list[tuple[int, list[int]]]:
    """Return the steps across a corner, of two opposite ones one, and the steps to the voxels around that corner."""
    strides, found = strides_of(shape), []
    for way in ways(len(shape)):
        if np.count_nonzero(way) > 1 and way > (0,) * len(shape):
            box = [int(np.dot(part, strides)) for part in product(*({0, axis} for axis in way))]
            found.append((int(np.dot(way, strides)), [step for step in box if step not in (0, np.dot(way, strides))]))
    return found


def ways(axes: int) -> list[tuple[int, ...]]:
    """Return the ways from a voxel to its neighbours, by face, edge or corner."""
    return [way for way in product((-1, 0, 1), repeat=axes) if any(way)]


def strides_of(shape: tuple[int, ...]) -> Numbers:
    """Return how far apart voxels lie in memory that are neighbours along each axis."""
    return np.cumprod((1, *shape[:0:-1]))[::-1]
