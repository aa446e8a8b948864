"""Persistent homology of an image: at which voxels its objects, tunnels and cavities are born and die.

The superlevel set of a level holds the voxels above it. As the level falls from infinity, objects (dimension 0) appear
at peaks and merge at saddles, where the one of the lower peak dies; holes close at saddles and are filled at pits. The
dimension below the highest (holes of a plane, cavities of a volume) is that of the objects of the complement, as the
level rises: one union-find serves both, compiled or in NumPy and SciPy, with equal results. The tunnels of a volume, in
between, are left to the package gudhi.

Equal values are ordered by raster order: of two equal voxels the first is the higher one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lossodyssey import native

Numbers = npt.NDArray[Any]
"""Whole numbers: voxels, ranks, or differences of places."""
Values = npt.NDArray[Any]
Connectivity = Literal["full", "faces"]
DUAL: dict[Connectivity, Connectivity] = {"full": "faces", "faces": "full"}
"""How the complement is connected, so that no two curves cross without meeting."""
NEVER = -1
"""The death of the object that never dies: there is one in every image with voxels."""


def persistence(
    field: Tensor, connectivity: Connectivity = "full", dimensions: Sequence[int] = (0,)
) -> dict[int, Tensor]:
    """Return the features of each dimension of a field (*S): flat voxels of birth and death, (P, 2) int64.

    The longest-lived object comes first; its death is -1. Features without a length are left out. Axes of one voxel
    add no dimension: a plane is a flat volume, and has no features of the dimensions above its own.

    Raises:
        ValueError: a dimension that the field does not have, or one in between without the package gudhi.
    """
    for dimension in dimensions:
        if not 0 <= dimension < max(field.ndim, 1):
            raise ValueError(f"dimension is {dimension}, expected 0 to {field.ndim - 1} on {field.ndim} axes")
    # NumPy throughout: several threads would gain nothing in a union-find, and wait for each other.
    plain = field.detach().cpu().squeeze().numpy()
    found = {dimension: _pairs(plain, connectivity, dimension) for dimension in dimensions}
    return {k: torch.from_numpy(_with_a_length(plain.ravel(), pairs)).to(field.device) for k, pairs in found.items()}


def _pairs(field: Values, connectivity: Connectivity, dimension: int) -> Numbers:
    if field.size == 0 or dimension >= max(field.ndim, 1):
        return np.zeros((0, 2), dtype=np.int64)
    if 0 < dimension < field.ndim - 1:
        return _pairs_by_gudhi(field, connectivity, dimension)
    order = np.argsort(-field.ravel(), kind="stable")
    if dimension == 0:
        # The first voxel begins the object that never dies.
        return np.concatenate([[[order[0], NEVER]], merges(order, field.shape, connectivity)])
    return merges(order[::-1], field.shape, DUAL[connectivity], outside=True)[:, ::-1]


def _with_a_length(values: Values, pairs: Numbers) -> Numbers:
    born, dies = pairs.T
    return np.ascontiguousarray(pairs[(dies == NEVER) | (values[born] > values[dies])]) if len(pairs) else pairs


def merges(
    order: Numbers,
    shape: Sequence[int],
    connectivity: Connectivity,
    *,
    outside: bool = False,
    ages: Numbers | None = None,
) -> Numbers:
    """Return where components end as voxels are added in the `order` (V,): their oldest voxel and the joining one.

    (P, 2), by the joining voxel. The oldest voxel of a component is its first, or that of the least of the `ages` of
    all voxels (V,); which components meet at which row does not depend on them. With `outside`, what touches the edge
    of the image is part of the oldest component.
    """
    steps = neighbour_steps(shape, connectivity)
    own = None if ages is None else ages[order]
    compiled = native.serves(len(order)) and len(order) < 1 << 30
    return order[(_compiled if compiled else _plain)(order, shape, steps, outside, own)]


def neighbour_steps(shape: Sequence[int], connectivity: Connectivity) -> list[int]:
    """Return how far apart neighbours lie in an image with a frame of one voxel."""
    strides = np.cumprod([1, *(n + 2 for n in shape[:0:-1])])[::-1]
    most = len(shape) if connectivity == "full" else 1
    ways = [way for way in product((-1, 0, 1), repeat=len(shape)) if 0 < np.count_nonzero(way) <= most]
    return [int(np.dot(way, strides[: len(shape)])) for way in ways]


def _framed(values: Numbers, shape: Sequence[int], frame: int) -> Numbers:
    """Return an image (V,) flat, with a frame of one voxel around it."""
    return np.pad(values.reshape(tuple(shape)), 1, constant_values=frame).ravel()


def _places(n: int, shape: Sequence[int]) -> Numbers:
    """Return where the voxels of an image lie in one with a frame."""
    return np.flatnonzero(_framed(np.ones(n, dtype=np.int8), shape, 0))


def _compiled(
    order: Numbers, shape: Sequence[int], steps: list[int], outside: bool, ages: Numbers | None = None
) -> Numbers:
    n, begun = len(order), int(outside)
    number = _framed(np.full(n, -1, dtype=np.int32), shape, 0 if outside else -1)
    places = _places(n, shape).astype(np.int32)[order]
    parent, first, pairs = (np.empty(size, dtype=np.int32) for size in (n + 1, n + 1, 2 * n))
    found, ways = np.zeros(1, dtype=np.int64), np.array(steps, dtype=np.int32)
    own = None if ages is None else torch.from_numpy(ages.astype(np.int32))
    order_, ways_, *others = map(torch.from_numpy, (places, ways, number, parent, first, pairs, found))
    native.call("lo_merge_components", order_, n, ways_, len(steps), begun, own, *others)
    return pairs.reshape(n, 2)[: found[0]].astype(np.int64)


def _plain(
    order: Numbers, shape: Sequence[int], steps: list[int], outside: bool, ages: Numbers | None = None
) -> Numbers:
    """Return the same by Kruskal's algorithm: a spanning tree of the basins, joined from its first edge to its last."""
    mine, neighbours = ranks(order, shape, steps, outside)
    basin = basins(mine, neighbours)
    # A basin's oldest voxel may come after the basin has met another one; what ends there has no length then.
    oldest = np.arange(len(basin)) if ages is None else _oldest(basin, ages)
    edges = tree(basin, mine, neighbours)
    pairs = [(young, at) for young, at, _, _ in joined(edges, oldest)]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    if ages is not None:
        # From ages back to ranks.
        found[:, 0] = np.argsort(ages)[found[:, 0] - 1] + 1
    return found - 1


def _oldest(basin: Numbers, ages: Numbers) -> Numbers:
    """Return the least age, from 1 on, within each basin, 0 that of the outside."""
    least = np.full(len(basin), len(basin))
    np.minimum.at(least, basin[1:-1], ages + 1)
    least[basin[0]] = 0
    return least


def ranks(order: Numbers, shape: Sequence[int], steps: list[int], outside: bool = False) -> tuple[Numbers, Numbers]:
    """Return when each voxel is added (V,), from 1 on, and when its neighbours are (K, V): last where there is none.

    The rank 0 is that of the outside.
    """
    n = len(order)
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(1, n + 1)
    framed, places = _framed(rank, shape, 0 if outside else n + 1), _places(n, shape)
    return rank, np.stack([framed[places + step] for step in steps]) if steps else np.zeros((0, n), dtype=np.int64)


def basins(mine: Numbers, neighbours: Numbers) -> Numbers:
    """Return the first voxel of the basin of each, by ranks: a voxel joins the earliest of its neighbours."""
    basin = np.arange(len(mine) + 2)
    basin[mine] = np.minimum(mine, neighbours.min(0, initial=len(mine) + 1))
    while (basin[basin] != basin).any():
        basin = basin[basin]
    return basin


def tree(basin: Numbers, mine: Numbers, neighbours: Numbers) -> Numbers:
    """Return the edges (E, 3) of a spanning tree between basins: two basins, and the first voxel that joins them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    found = _edges(basin, mine, neighbours)
    # Equal entries of a sparse array would be added up: of the edges between two basins the first is kept.
    found = found[np.unique(found[:, 0] * len(basin) + found[:, 1], return_index=True)[1]]
    # SciPy before 1.16 takes no other numbers of nodes than those of 32 bits.
    pairs = found[:, :2].astype(np.int32).T
    least = minimum_spanning_tree(coo_array((found[:, 2], tuple(pairs)), shape=(len(basin),) * 2)).tocoo()
    kept = np.stack([least.row, least.col, least.data.astype(np.int64)], 1)
    kept = kept[np.argsort(kept[:, 2], kind="stable")]
    kept[:, 2] //= max(len(neighbours), 1)
    return kept


def _edges(basin: Numbers, mine: Numbers, neighbours: Numbers) -> Numbers:
    """Return two basins, the lower first, and when they meet: the voxel that joins them, and which neighbour it is.

    In order. A voxel joins the basin of its first neighbour that came before it with those of the others, one after
    another, as the compiled code does.
    """
    earlier = neighbours < mine
    first = basin[neighbours[earlier.argmax(0), np.arange(len(mine))]] if len(neighbours) else basin[mine]
    found = [np.zeros((0, 3), dtype=np.int64)]
    for k, other in enumerate(basin[neighbours]):
        apart = earlier[k] & (first != other)
        when = mine * len(neighbours) + k
        found.append(np.stack([np.minimum(first, other), np.maximum(first, other), when], 1)[apart])
    every = np.concatenate(found)
    return every[np.argsort(every[:, 2])]


def joined(edges: Numbers, ages: Numbers) -> Iterator[tuple[int, int, int, int]]:
    """Yield the age of the younger of the two that an edge joins, the joining voxel, and the edge's basins."""
    parent, age = list(range(len(ages))), ages.tolist()
    for first, second, voxel in edges.tolist():
        roots = sorted((_root(parent, each) for each in (first, second)), key=age.__getitem__)
        parent[roots[1]] = roots[0]
        yield age[roots[1]], voxel, first, second


def _root(parent: list[int], each: int) -> int:
    while parent[each] != each:
        parent[each] = each = parent[parent[each]]
    return each


def _pairs_by_gudhi(field: Values, connectivity: Connectivity, dimension: int) -> Numbers:
    """Return the pairs of a dimension in between, in gudhi's order.

    Raises:
        ValueError: gudhi is not installed.
    """
    gudhi = _gudhi(dimension, field.ndim)
    # Closed voxels touch in their corners: they are connected through them. Voxels as grid points share faces.
    full = connectivity == "full"
    image = gudhi.CubicalComplex(**{"top_dimensional_cells" if full else "vertices": -field.astype(np.float64)})
    image.compute_persistence(homology_coeff_field=2)
    finite, _ = image.cofaces_of_persistence_pairs() if full else image.vertices_of_persistence_pairs()
    # The list ends with the last dimension that has a feature. Its flat voxels count along the first axis first.
    flat = np.asarray(finite[dimension] if dimension < len(finite) else (), dtype=np.int64).reshape(-1, 2)
    return np.ravel_multi_index(np.unravel_index(flat, field.shape, order="F"), field.shape)


def _gudhi(dimension: int, axes: int) -> Any:
    try:
        import gudhi
    except ImportError:
        raise ValueError(
            f'dimension is {dimension}: between 0 and {axes - 1} it needs gudhi: pip install ".[topology]"'
        ) from None
    return gudhi
