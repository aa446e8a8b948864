"""Which classes touch: of labels, as a table to collect over a data set, and of the masks of a pair."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any, Literal

import torch
from torch import Tensor

from lossodyssey.core.grids import class_masks
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.boxes import reached

Pairs = tuple[tuple[int, ...], ...]
"""Pairs of classes; the order within a pair does not matter."""


def adjacency_from_labels(labels: Any, classes: int, connectivity: Literal["full", "faces"] = "full") -> Tensor:
    """Count the neighbouring voxels of every two classes in labels (*S), the background as one of the classes.

    The table (classes, classes) is symmetric, and 0 on its diagonal and for classes that do not touch. Add up those of
    the cases of a data set, and give the sum to `never_touching`. Voxels are neighbours that share a face, edge or
    corner, with `connectivity="faces"` a face. Other numbers than 0 to classes - 1 mark voxels that do not count.

    Raises:
        ValueError: fewer than two classes, or labels that are not whole numbers.
    """
    y = torch.as_tensor(labels)
    if classes < 2:
        raise ValueError(f"classes is {classes}, expected two or more, the background as one of them")
    if y.is_floating_point() and not torch.equal(y, y.round()):
        raise ValueError("labels are not whole numbers, expected one class per voxel (*S)")
    y = torch.where((y >= 0) & (y < classes), y, classes).long()
    table = torch.zeros((classes + 1) ** 2, dtype=torch.long, device=y.device)
    for step in product((-1, 0, 1), repeat=y.ndim):
        # Of two opposite steps one: the table is made symmetric below.
        if step > (0,) * y.ndim and (connectivity == "full" or sum(map(abs, step)) == 1):
            here, there = y, y
            for axis, move in enumerate(step):
                n = max(y.shape[axis] - abs(move), 0)
                here, there = here.narrow(axis, max(-move, 0), n), there.narrow(axis, max(move, 0), n)
            table += torch.bincount((here * (classes + 1) + there).flatten(), minlength=len(table))
    square = table.reshape(classes + 1, classes + 1)[:classes, :classes].clone()
    return (square + square.T).fill_diagonal_(0)


def never_touching(adjacency: Tensor) -> Pairs:
    """Return the pairs of classes whose entry in a table of `adjacency_from_labels`, or a sum of such, is 0."""
    return tuple((i, j) for i, j in combinations(range(len(adjacency)), 2) if not adjacency[i, j])


def by_class(values: Tensor, pair: Pair) -> Tensor:
    """Return values or masks (N, C, V or *S) as (N, C, *S), 0 where a voxel does not count.

    A single region becomes two classes, all other voxels before it.
    """
    values, masks = values.flatten(2), values.dtype == torch.bool
    if pair.weight is not None:
        valid = pair.weight > 0
        values = values & valid if masks else torch.where(valid, values, 0)
    if pair.classes == 1:
        everything = torch.ones_like(values, dtype=torch.bool) if pair.weight is None else pair.weight > 0
        rest = everything & ~values if masks else pair.numbers(everything) - values
        values = torch.cat([rest, values], 1)
    return values.reshape(*values.shape[:2], *pair.shape)


def predicted_masks(pair: Pair) -> Tensor:
    """Return the masks (N, C, *S) of the likeliest classes; of regions, of those more likely than not."""
    return by_class(class_masks(pair.hard_prediction("argmax"), pair, 0), pair)


def apart_in_truth(pair: Pair, *, corners: bool = True) -> Tensor:
    """Return which two classes do not touch in the truth of each sample, bool (N, C, C), False on the diagonal."""
    masks = by_class(class_masks(pair.truth_for_maps, pair, 0), pair)
    around, inside = (pair.numbers(each).flatten(2) for each in (reached(masks, corners=corners), masks))
    touching = around @ inside.transpose(1, 2) > 0
    return ~(touching | touching.transpose(1, 2) | torch.eye(masks.shape[1], dtype=torch.bool, device=masks.device))


def check_classes(where: str, named: set[int], pair: Pair) -> None:
    """Raise ValueError for classes that the pair does not have; the text begins with `where`."""
    classes = max(pair.classes, 2)
    if unknown := sorted(named - set(range(classes))):
        raise ValueError(f"{where} names class {unknown[0]}, but there are {classes} classes: 0 to {classes - 1}")
