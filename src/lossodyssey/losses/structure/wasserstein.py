"""Generalised Wasserstein Dice: some confusions of classes are worse than others."""

from __future__ import annotations

import torch
from torch import Tensor

from lossodyssey.core.counts import Counts
from lossodyssey.core.fields import NonNegative
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import MapSum, Request
from lossodyssey.losses.region.dice import mismatch
from lossodyssey.losses.structure.class_distances import (
    Matrix,
    Tree,
    check_distances,
    check_tree,
    evenly,
    from_tree,
    scaled,
    zero_or_one,
)


class GeneralizedWassersteinDice(Loss, paper="fidon2017", range=(0, 1), aliases=("GWDL", "GeneralisedWassersteinDice")):
    r"""Generalised Wasserstein Dice: Dice in which a voxel's error is the distance between the classes confused.

    $1 - \frac{2\,TP}{2\,TP + \sum_x W_x}$ per sample, with $W_x = \sum_c M_{y_x c}\,p_c(x)$ and
    $TP = \sum_x \alpha_{y_x} (M_{y_x 0} - W_x)$, $\alpha_l = M_{l 0}$, M the distances between classes.

    For classes with an order or a hierarchy, where taking one part of a tumour for another is less wrong than missing
    it. `distances` is the matrix M, background first; its unit has no effect, and its greatest entry becomes 1.
    `tree=((1, 2), 3)` makes it from groups: two classes are as far apart as the smallest group that holds both is
    above the leaves, and the background, or any class that is not named, is at 1 from all others. Without either all
    distances are 1, which is `Dice` for two classes; for more, a confusion of two foreground classes counts once, where
    Dice counts it twice. A soft label has the distance expected of it, so that without distances of 0 and 1 the truth
    itself costs more than 0. Under sigmoid every region is a case of two classes. Other distances than 0 and 1 take a
    map of the size of the logits, or two where the background is not at 1 from all. There the authors' code, and
    others after it, has other weights: `ReleasedGeneralizedWassersteinDice`. The paper's text was not at hand.
    """

    distances: Matrix | None = None
    tree: Tree | None = None
    smooth: NonNegative = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()

    def _check(self) -> None:
        """Raise ValueError for both ways to give distances, and for distances or a tree that cannot be."""
        name = type(self).__name__
        if self.distances is not None and self.tree is not None:
            raise ValueError(f"{name} has both distances and a tree, which makes them: leave one out")
        if self.distances is not None:
            check_distances(f"{name}.distances", self.distances)
        if self.tree is not None:
            check_tree(f"{name}.tree", self.tree)

    def matrix(self, pair: Pair) -> Matrix | None:
        """Return the distances (C, C) between the pair's classes, at most 1; None where they are all 1.

        Raises:
            ValueError: another number of classes, or regions, which have no distances.
        """
        given = self.distances if self.tree is None else from_tree(self.tree, max(pair.classes, 2))
        if given is None:
            return None
        if pair.sigmoid and pair.classes > 1:
            raise ValueError(
                f"{self!r} has distances between classes, but the call has regions, which may overlap: leave them out"
            )
        classes = max(pair.classes, 2)
        if len(given) != classes:
            raise ValueError(
                f"{type(self).__name__}.distances has {len(given)} rows, but there are {classes} classes, background "
                "included"
            )
        return None if zero_or_one(given) else scaled(given)

    def ask(self, pair: Pair, request: Request) -> None:
        request.table = True
        if (matrix := self.matrix(pair)) is not None:
            distances = pair.z.new_tensor(matrix, dtype=pair.dtype)
            # Where the background is at 1 from every class, TP lacks the errors at background voxels alone.
            second = distances.new_ones(len(matrix)).diag()[:, :1] if evenly(matrix) else distances * distances[:, :1]
            request.map_sums += [MapSum(self, looked_up(rows, pair)) for rows in (distances, second)]

    def of(self, pair: Pair) -> Tensor:
        counts, matrix = Counts.of(pair, self, first=0, batch=False), self.matrix(pair)
        if pair.sigmoid:
            tp, wrong = 2 * counts.tp, counts.fp + counts.fn
        elif matrix is None:
            tp, wrong = 2 * counts.tp[:, 1:].sum(1), counts.fn.sum(1)
        else:
            weighted, second = pair.map_sums(self)[0].unbind(2)
            wrong, alpha = weighted.sum(1), counts.g.new_tensor(matrix[0])
            lost = wrong - (second * alpha).sum(1) if evenly(matrix) else second.sum(1)
            tp = 2 * ((counts.g * alpha**2).sum(1) - lost)
        there = counts.n > 0 if pair.sigmoid else (counts.n > 0).any(1)
        return quotient((mismatch(tp, wrong, self.smooth) * there).sum(), there.sum())


def looked_up(rows: Tensor, pair: Pair) -> Tensor:
    """Return the row of a matrix (C, K) that belongs to each voxel's true class, (N, K, V)."""
    labels = pair.truth.labels
    if labels is None:
        return torch.einsum("lk,nlv->nkv", rows, pair.g)
    known = labels.long() if pair.truth.ignore is None else torch.where(labels == pair.truth.ignore, 0, labels.long())
    return rows.T[None].expand(len(known), -1, -1).gather(2, known[:, None].expand(-1, rows.shape[1], -1))
