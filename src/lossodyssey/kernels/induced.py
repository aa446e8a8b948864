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
Matching = tuple[Numbers, Numbers, Numbers]
"""The features (P, 2) of two images, by flat voxels of birth and death, and the rows of partners (M, 2)."""


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
    falling, found, rows = _falling(union), [], []
    for field in fields:
        order = _falling(field)
        found.append(np.concatenate([[[order[0], NEVER]], merges(order, shape, connectivity)]))
        # The pieces that meet in the union, each known by its highest voxel of this field: the same rows for both.
        born, dies = merges(falling, shape, connectivity, ages=_rank(order)).T
        row = np.full(field.size, NEVER)
        row[found[-1][:, 0]] = np.arange(len(found[-1]))
        rows.append(np.where(field.ravel()[born] > union.ravel()[dies], row[born], NEVER))
    partners = np.stack(rows, 1)
    return found[0], found[1], np.concatenate([[[0, 0]], partners[(partners != NEVER).all(1)]])


def _enclosed(fields: list[Numbers], connectivity: Connectivity) -> Matching:
    shape, union = fields[0].shape, np.maximum(*fields)
    ages, found, rows = _rank(_falling(union)[::-1]), [], []
    for field in fields:
        order = _falling(field)[::-1]
        found.append(np.ascontiguousarray(merges(order, shape, DUAL[connectivity], outside=True)[:, ::-1]))
        # The same meetings, row by row, each part of the complement known by its lowest voxel of the union.
        dies, born = merges(order, shape, DUAL[connectivity], outside=True, ages=ages).T
        row = np.full(field.size, NEVER)
        row[dies] = np.where(field.ravel()[born] > union.ravel()[dies], np.arange(len(dies)), NEVER)
        rows.append(row)
    partners = np.stack(rows, 1)
    return found[0], found[1], partners[(partners != NEVER).all(1)]


def _falling(field: Numbers) -> Numbers:
    return np.argsort(-field.ravel(), kind="stable")


def _rank(order: Numbers) -> Numbers:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank
