"""Watershed lines: where the basins of an image meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lossodyssey.kernels.persistence import basins, joined, neighbour_steps, ranks, tree

Lines = npt.NDArray[np.bool_]


def watershed_lines(field: npt.NDArray[Any], depth: float) -> Lines:
    """Return the voxels (*S) where basins meet that are deeper than `depth`: lines, in a volume sheets.

    Water rises in every pit. A basin is as deep as the way from its pit to where it first runs over into one with a
    deeper pit. Basins that share a face of two voxels are divided by the higher one, so lines are one voxel wide. On
    top of the highest plateau they lie in its middle.
    """
    plain = field.squeeze()
    if plain.ndim == 0 or plain.size == 0 or plain.min() == plain.max():
        return np.zeros(field.shape, dtype=np.bool_)
    order = rising(plain)
    mine, neighbours = ranks(order, plain.shape, neighbour_steps(plain.shape, "faces"))
    basin = basins(mine, neighbours)

    levels = np.concatenate([[-np.inf], plain.ravel()[order], [np.inf]])
    parent = list(range(len(basin)))
    for pit, pass_, first, second in joined(tree(basin, mine, neighbours), np.arange(len(basin))):
        if levels[pass_] - levels[pit] <= depth:
            parent[_top(parent, first)] = _top(parent, second)
    label = np.array([_top(parent, each) for each in range(len(parent))])[basin]
    lower = neighbours < mine
    return (lower & (label[neighbours] != label[mine])).any(0).reshape(field.shape)  # type: ignore[no-any-return]


def rising(field: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the flat voxels from the lowest to the highest, and those of the highest plateau from its edge inwards."""
    from scipy.ndimage import distance_transform_edt

    return np.lexsort((distance_transform_edt(field == field.max()).ravel(), field.ravel()))


def _top(parent: list[int], each: int) -> int:
    while parent[each] != each:
        parent[each] = each = parent[parent[each]]
    return each
