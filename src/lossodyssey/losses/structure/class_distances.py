"""Distances between classes: a matrix, or a tree of groups that makes one."""

from __future__ import annotations

from lossodyssey.core.fields import NonNegative

Matrix = tuple[tuple[NonNegative, ...], ...]
Tree = tuple[int | tuple[int | tuple[int | tuple[int, ...], ...], ...], ...]
"""Classes in groups of groups, as ((1, 2), 3); up to four levels."""


def evenly(matrix: Matrix) -> bool:
    """Return whether the background is at 1 from every class."""
    return set(matrix[0][1:]) == {1}


def zero_or_one(matrix: Matrix) -> bool:
    """Return whether all distances between different classes are the same."""
    return len({row[c] for k, row in enumerate(matrix) for c in range(len(row)) if c != k}) == 1


def scaled(matrix: Matrix) -> Matrix:
    """Return the distances with the greatest as 1."""
    greatest = max(map(max, matrix))
    return tuple(tuple(entry / greatest for entry in row) for row in matrix)


def check_distances(where: str, matrix: Matrix) -> None:
    """Raise ValueError for a matrix that is not of distances; the text begins with `where`."""
    size = len(matrix)
    if size < 2 or any(len(row) != size for row in matrix):
        lengths = sorted({len(row) for row in matrix})
        raise ValueError(f"{where} has {size} rows of {lengths} numbers, expected a square, a row per class")
    for i, row in enumerate(matrix):
        if row[i] != 0:
            raise ValueError(f"{where}[{i}][{i}] is {row[i]}, expected 0: a class has no distance from itself")
        for j, entry in enumerate(row):
            if entry != matrix[j][i]:
                raise ValueError(f"{where}[{i}][{j}] is {entry}, but [{j}][{i}] is {matrix[j][i]}: expected the same")
    if not any(matrix[0]):
        raise ValueError(f"{where} puts every class at 0 from the background, expected a distance above 0")


def check_tree(where: str, tree: Tree) -> None:
    """Raise ValueError for a tree that names a class twice, or holds an empty group or one of a single entry."""
    named = [c for c, _ in leaves(tree)]
    if len(set(named)) < len(named) or min(named, default=0) < 0:
        raise ValueError(f"{where} is {tree}, expected classes from 0 on, each at one place of the tree")
    for group in groups_of(tree)[1:]:
        if len(group) < 2:
            raise ValueError(f"{where} has the group {group}, expected two entries or more")
    if len(groups_of(tree)) < 2:
        raise ValueError(
            f"{where} is {tree}, in which all classes are equally far apart: leave it out, or put some in ()"
        )


def groups_of(tree: Tree) -> list[Tree]:
    """Return the tree and all groups in it."""
    return [tree, *(inner for entry in tree if isinstance(entry, tuple) for inner in groups_of(entry))]


def leaves(tree: Tree, path: tuple[int, ...] = ()) -> list[tuple[int, tuple[int, ...]]]:
    """Return the classes of a tree, each with its path of groups."""
    found = []
    for k, entry in enumerate(tree):
        found += leaves(entry, (*path, k)) if isinstance(entry, tuple) else [(entry, path)]
    return found


def from_tree(tree: Tree, classes: int) -> Matrix:
    """Return the distances of classes: 1 less the depth of the smallest common group over that of the deepest group.

    Raises:
        ValueError: the tree has a class that does not exist.
    """
    paths = dict(leaves(tree))
    if max(paths) >= classes:
        raise ValueError(f"the tree names class {max(paths)}, but there are {classes} classes: 0 to {classes - 1}")
    deepest = 1 + max(map(len, paths.values()))

    def distance(i: int, j: int) -> float:
        if i == j:
            return 0.0
        if i not in paths or j not in paths:
            return 1.0
        common = next((k for k, (a, b) in enumerate(zip(paths[i], paths[j], strict=False)) if a != b), None)
        shared = min(len(paths[i]), len(paths[j])) if common is None else common
        return 1 - shared / deepest

    return tuple(tuple(distance(i, j) for j in range(classes)) for i in range(classes))
