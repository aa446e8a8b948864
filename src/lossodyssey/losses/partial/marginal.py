"""Losses for samples in which only some of the classes are annotated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import torch

from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.losses.compound.sums import DiceCE


class Marginal(ViewLoss, paper="shi2021", aliases=("MarginalLoss",)):
    r"""Marginal loss: any loss after classes without annotations are merged with the background.

    $L(q, y)$ with $q_0 = s_0 + \sum_{c \in U} s_c$ and $q_c = s_c$ for the annotated classes: where a class of U is
    not annotated its voxels are labelled 0, so label 0 means "background or one of U".

    For data sets that annotate different organs, trained together. `hidden` are the classes U of every sample; without
    it they follow the call's `annotated` (N, C), sample by sample: samples with the same annotated classes are one
    view, and views are averaged by their number of samples. A sample without any annotated class is left out. Where
    all classes are annotated it is the inner loss. Class weights are given for all classes, or for those that are left.
    Under sigmoid a class that is not annotated is left out.
    """

    loss: Loss = DiceCE()
    hidden: tuple[int, ...] = ()

    def views(self, pair: Pair) -> Iterable[View]:
        if not self.hidden and pair.annotated is None:
            return [(1.0, pair.view(self.inner))]
        self._check(pair)
        return self._by_pattern(pair)

    def _by_pattern(self, pair: Pair) -> Iterator[View]:
        """Yield the samples with the same annotated classes together."""
        patterns: dict[tuple[int, ...], list[int]] = {}
        for sample, row in enumerate(annotated_rows(pair)):
            seen = tuple(c for c in row if c not in self.hidden)
            patterns.setdefault(seen, []).append(sample)

        for seen, samples in patterns.items():
            if seen:
                part = self._part(pair, samples)
                # All classes seen is no merger: the very pair, with what was made of its labels.
                everything = len(seen) == pair.classes - pair.first_class(False)
                view = part.view(self.inner) if everything else part.merged(groups(seen, pair), self.inner)
                yield float(len(samples)), view

    def _part(self, pair: Pair, samples: list[int]) -> Pair:
        """Return the pair of these samples; another process may have other patterns, so it is a part of a batch."""
        if pair.annotated is None:
            return pair
        whole = len(samples) == len(pair.z)
        return pair.as_part() if whole else pair.of_samples(torch.tensor(samples, device=pair.z.device))

    def _check(self, pair: Pair) -> None:
        """Raise ValueError for classes to hide that do not exist, or when none is left."""
        first = pair.first_class(False)
        if not set(self.hidden) <= set(range(first, pair.classes)) or len(set(self.hidden)) == pair.classes - first:
            raise ValueError(
                f"Marginal.hidden is {self.hidden}, but there are {pair.classes} classes: expected some of the classes "
                f"{first} to {pair.classes - 1}, not all of them"
            )


def annotated_rows(pair: Pair) -> list[list[int]]:
    """Return the annotated classes of every sample, background left out."""
    first = pair.first_class(False)
    if pair.annotated is None:
        return [list(range(first, pair.classes))] * len(pair.z)
    return [[c for c in range(first, pair.classes) if row[c]] for row in pair.annotated.tolist()]


def groups(seen: Collection[int], pair: Pair) -> list[list[int]]:
    """Return the classes that each class of the merged pair unites: the background and all that is not seen, first."""
    alone = [[c] for c in seen]
    return alone if pair.sigmoid else [[c for c in range(pair.classes) if c not in seen], *alone]
