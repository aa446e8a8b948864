"""Persistent homology of an image: at which voxels its objects, tunnels and cavities are born and die.

The superlevel set of a level holds the voxels above it. As the level falls from infinity, objects (dimension 0) appear
at peaks and merge at saddles, where the one of the lower peak dies; holes close at saddles and are filled at pits. The
dimension below the highest (holes of a plane, cavities of a volume) is that of the objects of what is left over, as
the level rises: one union-find serves both, compiled or in NumPy and SciPy, with equal results. What is between,
the tunnels of a volume, is left to the package gudhi.

Equal values are ordered by raster order: of two equal voxels the first is the higher one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey import native

Numbers = npt.NDArray[np.int64]
Connectivity = Literal["full", "faces"]
DUAL: dict[Connectivity, Connectivity] = {"full": "faces", "faces": "full"}
"""How what is left over is connected, so that no two curves cross without meeting."""
NEVER = -1
"""The death of what lives on below every voxel: one object, where there is an image at all."""


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
    plain = field.detach().cpu().squeeze()
    found = {dimension: _pairs(plain, connectivity, dimension) for dimension in dimensions}
    return {dimension: _with_a_length(plain.flatten(), pairs).to(field.device) for dimension, pairs in found.items()}


def _pairs(field: Tensor, connectivity: Connectivity, dimension: int) -> Tensor:
    if field.numel() == 0 or dimension >= max(field.ndim, 1):
        return torch.zeros((0, 2), dtype=torch.int64)
    if 0 < dimension < field.ndim - 1:
        return _pairs_by_gudhi(field, connectivity, dimension)
    order = field.flatten().sort(descending=True, stable=True).indices
    if dimension == 0:
        # The first voxel begins the object that never dies.
        return torch.cat([torch.tensor([[int(order[0]), NEVER]]), merges(order, field.shape, connectivity)])
    return merges(order.flip(0), field.shape, DUAL[connectivity], outside=True).flip(1)


def _with_a_length(values: Tensor, pairs: Tensor) -> Tensor:
    born, dies = pairs.unbind(1)
    return pairs[(dies == NEVER) | (values[born] > values[dies])] if len(pairs) else pairs


def merges(order: Tensor, shape: Sequence[int], connectivity: Connectivity, *, outside: bool = False) -> Tensor:
    """Return where components end as voxels are added in the `order` (V,): their first voxel and the joining one.

    (P, 2), by the joining voxel. With `outside`, what touches the edge of the image is part of the oldest component.
    """
    steps = _steps(shape, connectivity)
    if native.serves(len(order)) and len(order) < 1 << 30:
        return order[_compiled(order, shape, steps, outside)]
    return order[_plain(order, shape, steps, outside)]


def _steps(shape: Sequence[int], connectivity: Connectivity) -> list[int]:
    """Return how far apart neighbours lie in an image with a frame of one voxel."""
    strides = np.cumprod([1, *(n + 2 for n in shape[:0:-1])])[::-1]
    most = len(shape) if connectivity == "full" else 1
    ways = [way for way in product((-1, 0, 1), repeat=len(shape)) if 0 < np.count_nonzero(way) <= most]
    return [int(np.dot(way, strides[: len(shape)])) for way in ways]


def _framed(values: Tensor, shape: Sequence[int], frame: int) -> Tensor:
    """Return an image (V,) flat, with a frame of one voxel around it."""
    return F.pad(values.reshape(tuple(shape)), (1, 1) * len(shape), value=frame).flatten()


def _compiled(order: Tensor, shape: Sequence[int], steps: list[int], outside: bool) -> Tensor:
    n, begun = len(order), int(outside)
    number = _framed(torch.full((n,), -1, dtype=torch.int32), shape, 0 if outside else -1)
    places = _framed(torch.ones(n, dtype=torch.bool), shape, 0).nonzero()[:, 0].int()
    parent, first = torch.empty((2, n + 1), dtype=torch.int32)
    pairs, found = torch.empty((n, 2), dtype=torch.int32), torch.zeros(1, dtype=torch.int64)
    ways = torch.tensor(steps, dtype=torch.int32)
    native.call("lo_merge_components", places[order], n, ways, len(steps), begun, number, parent, first, pairs, found)
    return pairs[: int(found)].long()


def _plain(order: Tensor, shape: Sequence[int], steps: list[int], outside: bool) -> Tensor:
    """Return the same by Kruskal's algorithm: a spanning tree of the basins, joined from its first edge to its last."""
    n = len(order)
    rank = torch.empty_like(order)
    # Counted from 1: the rank 0 is that of the outside, and n + 1 that of no voxel at all.
    rank[order] = torch.arange(1, n + 1)
    ranks = _framed(rank, shape, 0 if outside else n + 1).numpy()
    places = np.flatnonzero(_framed(torch.ones_like(rank, dtype=torch.bool), shape, 0).numpy())
    mine = ranks[places]

    # A voxel joins the earliest of its neighbours, and with it a basin named after its first voxel.
    basin = np.arange(n + 2)
    basin[mine] = np.minimum(mine, np.min([ranks[places + step] for step in steps], 0))
    while (basin[basin] != basin).any():
        basin = basin[basin]
    edges = _first_edges(basin, [(mine, ranks[places + step]) for step in steps])
    return torch.from_numpy(_joined(edges, n + 2) - 1)


def _first_edges(basin: Numbers, neighbours: list[tuple[Numbers, Numbers]]) -> Numbers:
    """Return the edges (E, 3) of a spanning tree between basins: two basins, and the first voxel that joins them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    found = np.concatenate([np.stack([basin[a], basin[b], a], 1)[b < a] for a, b in neighbours])
    found = found[found[:, 0] != found[:, 1]]
    found[:, :2].sort(axis=1)
    found = found[np.argsort(found[:, 2], kind="stable")]
    # Equal entries of a sparse array would be added up: of the edges between two basins the first is kept.
    found = found[np.unique(found[:, 0] * len(basin) + found[:, 1], return_index=True)[1]]
    tree = minimum_spanning_tree(coo_array((found[:, 2], (found[:, 0], found[:, 1])), shape=(len(basin),) * 2)).tocoo()
    kept = np.stack([tree.row, tree.col, tree.data.astype(np.int64)], 1)
    return kept[np.argsort(kept[:, 2], kind="stable")]


def _joined(edges: Numbers, n: int) -> Numbers:
    """Return the first voxel of the younger of the two that each edge joins, and the joining one."""
    parent = list(range(n))
    pairs = []
    for first, second, voxel in edges.tolist():
        roots = []
        for each in (first, second):
            while parent[each] != each:
                parent[each] = each = parent[parent[each]]
            roots.append(each)
        parent[max(roots)] = min(roots)
        pairs.append((max(roots), voxel))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _pairs_by_gudhi(field: Tensor, connectivity: Connectivity, dimension: int) -> Tensor:
    """Return the pairs of a dimension in between, in gudhi's order.

    Raises:
        ValueError: gudhi is not installed.
    """
    gudhi = _gudhi(dimension, field.ndim)
    # Closed voxels touch in their corners: they are connected through them. Voxels as grid points share faces.
    cells = "top_dimensional_cells" if connectivity == "full" else "vertices"
    complex_ = gudhi.CubicalComplex(**{cells: -field.numpy().astype(np.float64)})
    complex_.compute_persistence(homology_coeff_field=2, min_persistence=0)
    found = complex_.cofaces_of_persistence_pairs() if connectivity == "full" else complex_.vertices_of_persistence_pairs()
    finite = found[0][dimension] if dimension < len(found[0]) else ()
    # Its flat voxels count along the first axis first.
    places = np.unravel_index(np.asarray(finite, dtype=np.int64).reshape(-1, 2), tuple(field.shape), order="F")
    return torch.from_numpy(np.ravel_multi_index(places, tuple(field.shape)))


def _gudhi(dimension: int, axes: int) -> Any:
    try:
        import gudhi
    except ImportError:
        raise ValueError(
            f"dimension is {dimension}: between 0 and {axes - 1} it needs gudhi: pip install 'lossodyssey[topology]'"
        ) from None
    return gudhi
