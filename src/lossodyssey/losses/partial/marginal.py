"""Losses for samples in which only some of the classes are annotated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.losses.compound.sums import DiceCE

SMOOTH = 1e-5
"""The number that is added to the sizes in the overlap of excluded voxels, as `smooth` is in Dice."""


class PartialLoss(ViewLoss, abstract=True):
    """Abstract: the mean of the field `loss` over the samples, those with the same annotated classes in one view.

    `hidden` are the classes without annotations of every sample; without it they follow the call's `annotated`.
    """

    hidden: tuple[int, ...] = ()

    def seeing(self, part: Pair, seen: tuple[int, ...]) -> Pair:
        """Return the view of samples in which only the classes `seen` are annotated; by default the others merge."""
        return part.merged(groups(seen, part), self.inner)

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
                # All classes seen hides nothing: the very pair, with what was made of its labels.
                everything = len(seen) == pair.classes - pair.first_class(False)
                yield float(len(samples)), part.view(self.inner) if everything else self.seeing(part, seen)

    def _part(self, pair: Pair, samples: list[int]) -> Pair:
        """Return the pair of these samples; another process may have other patterns, so it is a part of a batch."""
        if pair.annotated is None:
            return pair
        whole = len(samples) == len(pair.z)
        return pair.as_part() if whole else pair.of_samples(samples)

    def _check(self, pair: Pair) -> None:
        """Raise ValueError for classes to hide that do not exist, or when none is left."""
        first, own = pair.first_class(False), type(self).__name__
        if not set(self.hidden) <= set(range(first, pair.classes)) or len(set(self.hidden)) == pair.classes - first:
            raise ValueError(
                f"{own}.hidden is {self.hidden}, but there are {pair.classes} classes: expected some of the classes "
                f"{first} to {pair.classes - 1}, not all of them"
            )


class Marginal(PartialLoss, paper="shi2021", aliases=("MarginalLoss",)):
    r"""Marginal loss: any loss after classes without annotations are merged with the background.

    $L(q, y)$ with $q_0 = s_0 + \sum_{c \in U} s_c$ and $q_c = s_c$ for the annotated classes: where a class of U is
    not annotated its voxels are labelled 0, so label 0 means "background or one of U".

    For data sets that annotate different organs, trained together. `hidden` are the classes U of every sample; without
    it they follow the call's `annotated` (N, C), sample by sample: samples with the same annotated classes are one
    view, and views are averaged by their number of samples. A sample without any annotated class is left out. Where
    all classes are annotated it is the inner loss. Class weights are given for all classes, or for those that are left.
    Under sigmoid a class that is not annotated is left out.

    `form="leaf"` merges nothing and empties the truth instead: voxels labelled 0 are of no class, so that whatever is
    predicted there is false. It was made for `Dice(background=True, square=True)` (Fidon 2021; the rule is that of the
    authors' code, the paper was not read), and needs the merged form beside it, because no label asks for label 0.
    """

    loss: Loss = DiceCE()
    form: Literal["merged", "leaf"] = "merged"

    def seeing(self, part: Pair, seen: tuple[int, ...]) -> Pair:
        if self.form == "merged" or part.sigmoid:
            return part.merged(groups(seen, part), self.inner)
        kept = torch.tensor([c in seen for c in range(part.classes)], device=part.z.device)
        return part.with_truth(part.g * kept[:, None], self.inner)


class Exclusion(PartialLoss, paper="shi2021", range=(0, inf), aliases=("ExclusionLoss",)):
    r"""Exclusion loss: the marginal loss, and a penalty where classes without annotations overlap annotated ones.

    $L(q, y) + \lambda \left(\frac{1}{|U|} \sum_{c \in U} \frac{2 \sum s_c e}{\sum s_c + \sum e} +
    \sum_{c \in U} \overline{e \log(1 + s_c)}\right)$ with $L(q, y)$ of `Marginal`, and e the voxels of all annotated
    classes, which cannot be of a class of U.

    For partly annotated organs, which exclude one another. `hidden` and `annotated` are those of `Marginal`. Where all
    classes are annotated it is the inner loss, and with `penalty=0` it is `Marginal`. The formulas are remembered, not
    read in the paper.

    Raises:
        ValueError: regions of which some are hidden, because regions may overlap.
    """

    loss: Loss = DiceCE()
    penalty: NonNegative = 2.0

    def outer(self, value: Tensor, pair: Pair) -> Tensor:
        if not self.hidden and pair.annotated is None:
            return value
        return value + self.penalty * self.overlap(pair, self.hidden_classes(pair))

    def hidden_classes(self, pair: Pair) -> Tensor:
        """Return which classes of which sample (N, C) have no annotations, the background left out."""
        if pair.sigmoid:
            raise ValueError('Exclusion: link="sigmoid" has regions, which may overlap; use Marginal for them')
        listed = torch.tensor([c in self.hidden for c in range(pair.classes)], device=pair.z.device)
        hidden = listed if pair.annotated is None else listed | ~pair.annotated
        return (hidden & (torch.arange(pair.classes, device=pair.z.device) > 0)).expand(len(pair.z), -1)

    def overlap(self, pair: Pair, hidden: Tensor) -> Tensor:
        """Return the mean over the samples of the Dice overlap and of the logarithmic penalty."""
        e = (pair.g[:, 1:] * ~hidden[:, 1:, None]).sum(1, keepdim=True).expand_as(pair.g)
        both, sizes, voxels = pair.total(pair.s * e), pair.total(pair.s + e), pair.total(torch.ones_like(e))
        dice = quotient((hidden * 2 * both / (sizes + SMOOTH)).sum(1), hidden.sum(1))
        logarithms = hidden * quotient(pair.total(e * torch.log1p(pair.s)), voxels)
        return (dice + logarithms.sum(1)).mean()


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
