"""The induced matching: which features of two images are the same, by where they are.

Both superlevel sets lie within that of the larger of the two, voxel by voxel. A feature of one image and a feature of
the other are partners if they become one and the same feature there. Stucki et al. 2023 define it by image
persistence; for pieces, and for what they enclose, one more union-find per image finds it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lossodyssey.kernels.persistence import DUAL, NEVER, Connectivity, merges

Numbers = npt.NDArray[Any]
Matching = tuple[tuple[Numbers, Numbers], list[tuple[int, int]]]
"""The features (P, 2) of two images, by flat voxels of birth and death, and the rows of each pair of partners."""


def induced_matching(first: Tensor, second: Tensor, connectivity: Connectivity, dimension: int) -> Matching:
    """Return the features of two fields (*S) of dimension 0 or of the highest, and the partners among them.

    The pieces that never die are partners. Features without a length have none, and are not left out.
    """
    fields = [field.detach().cpu().squeeze().numpy() for field in (first, second)]
    if dimension == 0:
        return _pieces(fields, connectivity)
    return _enclosed(fields, connectivity)


def _pieces(fields: list[Numbers], connectivity: Connectivity) -> Matching:
    shape, union = fields[0].shape, np.maximum(*fields)
    falling, found, images = _falling(union), [], []
    for field in fields:
        order = _falling(field)
        ends = merges(order, shape, connectivity)
        found.append(np.concatenate([[[order[0], NEVER]], ends]))
        # Which pieces meet in the union, each known by its highest voxel of this field: the same rows for both.
        image = merges(falling, shape, connectivity, ages=_rank(order))
        rows = {int(voxel): row for row, voxel in enumerate(found[-1][:, 0])}
        lasting = field.ravel()[image[:, 0]] > union.ravel()[image[:, 1]]
        images.append([rows.get(int(voxel)) if last else None for voxel, last in zip(image[:, 0], lasting, strict=True)])
    pairs = [(a, b) for a, b in zip(*images, strict=True) if a is not None and b is not None]
    return (found[0], found[1]), [(0, 0), *pairs]


def _enclosed(fields: list[Numbers], connectivity: Connectivity) -> Matching:
    shape, union = fields[0].shape, np.maximum(*fields)
    ages, found, images = _rank(_falling(union)[::-1]), [], []
    for field in fields:
        order = _falling(field)[::-1]
        found.append(merges(order, shape, DUAL[connectivity], outside=True)[:, ::-1])
        # The same meetings, row by row, each part of what is left over known by its lowest voxel of the union.
        image = merges(order, shape, DUAL[connectivity], outside=True, ages=ages)
        lasting = field.ravel()[image[:, 1]] > union.ravel()[image[:, 0]]
        images.append({int(image[row, 0]): int(row) for row in np.flatnonzero(lasting)})
    return (found[0], found[1]), [(images[0][pit], images[1][pit]) for pit in images[0].keys() & images[1].keys()]


def _falling(field: Numbers) -> Numbers:
    return np.argsort(-field.ravel(), kind="stable")


def _rank(order: Numbers) -> Numbers:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank
