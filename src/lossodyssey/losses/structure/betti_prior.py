"""The prior on Betti numbers: how many pieces, holes and cavities each class, or union of classes, has."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import brief
from lossodyssey.core.grids import unflattened
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.persistence import NEVER
from lossodyssey.losses.structure.persistence import PersistenceLoss, enclosing, ends

Numbers = tuple[int, ...]
Priors = tuple[tuple[int | Numbers, ...], ...]
FREE = -1
"""Instead of a Betti number: that dimension is not looked at."""


class BettiPrior(PersistenceLoss, paper="byrne2022", range=(0, inf), alone=False):
    r"""Betti prior: each class has as many objects, holes and cavities as anatomy says, whatever the labels.

    $\sum_{l \le \beta} (1 - \Delta_l^p) + \sum_{l > \beta} \Delta_l^p$ over the features of each dimension by falling
    length $\Delta = b - d$, where β is the Betti number that is known, summed over dimensions and classes, then the
    mean over samples. A feature is born where s = b and dies where s = d; the last object dies at 0. `power` p is 1
    (Byrne 2022) or 2 (Clough 2020). A feature that is missing costs 1, and so does one too many in a hard prediction.

    For organs whose topology is known, beside a region loss or to refine a prediction; no truth is looked at, so images
    without labels serve as well. `betti` lists classes with their Betti numbers: `((1, (1, 0)), (2, (1, 1)), ((1, 2),
    (1, 0)))` says of a plane that class 1 is one piece without a hole, class 2 a ring, and their union a disc. A
    union's probability is the sum of its classes'. The numbers are those of pieces, holes in a plane, or pieces,
    tunnels and cavities in a volume; what is left out at the end is not looked at. By default every class that
    counts is one piece that encloses nothing, and tunnels are not looked at: they need the package gudhi
    (`pip install ".[topology]"`). Under sigmoid there are no unions, and channels count from 0.
    """

    betti: Priors | None = None
    power: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for prior in self.betti or ():
            check_prior(prior)
        sets = [classes for classes, _ in self.given or ()]
        if sets and self.background:
            raise ValueError("BettiPrior.background has no effect beside betti, which lists the classes that count")
        if self.betti == () or len(set(sets)) < len(sets):
            raise ValueError(
                f"BettiPrior.betti is {brief(self.betti)}, expected one prior or more, of different classes"
            )

    @property
    def given(self) -> list[tuple[Numbers, Numbers]] | None:
        """The sets of classes with their Betti numbers, None where no prior is given."""
        if self.betti is None:
            return None
        pairs: list[Any] = list(self.betti)
        return [((c,) if isinstance(c, int) else tuple(sorted(c)), numbers) for c, numbers in pairs]

    def divisor(self, share: Tensor) -> Tensor:
        # The sets of a sample are added up; the mean is over samples that count anywhere.
        return share.amax(1).sum(dtype=torch.float64)

    def priors(self, pair: Pair) -> list[tuple[Numbers, Numbers]]:
        """Return the sets of classes of this pair with their Betti numbers.

        Raises:
            ValueError: classes, dimensions or unions that the pair does not have.
        """
        axes = len(pair.shape)
        numbers = {0: 1, **dict.fromkeys(enclosing(pair.shape)[1:], 0)}
        default = tuple(numbers.get(dimension, FREE) for dimension in range(axes))
        classes_alone = range(pair.first_class(self.background), pair.classes)
        known = self.given or [((c,), default) for c in classes_alone]
        for classes, betti in known:
            if max(classes) >= pair.classes or len(classes) == pair.classes > 1 or (pair.sigmoid and classes[1:]):
                kind = "single channels" if pair.sigmoid else "some but not all classes"
                raise ValueError(
                    f"BettiPrior.betti has the classes {classes}, expected {kind} of 0 to {pair.classes - 1}"
                )
            if len(betti) > axes:
                raise ValueError(f"BettiPrior.betti has the numbers {betti}, expected {axes} at most on {axes} axes")
        return known

    def _s(self, pair: Pair, first: int) -> Tensor:
        unions = [pair.s[:, list(classes)].sum(1) for classes, _ in self.priors(pair)]
        return self._counted(unflattened(torch.stack(unions, 1), pair), pair, first)

    def _weight(self, pair: Pair, first: int) -> Tensor:
        weight = super()._weight(pair, 0)
        return weight if weight.shape[1] == 1 else weight[:, [c for (c,), _ in self.priors(pair)]]

    def grid(self, pair: Pair, name: str, first: int) -> Any:
        if name != "betti":
            return super().grid(pair, name, first)
        rows = [(*betti, *[FREE] * (len(pair.shape) - len(betti))) for _, betti in self.priors(pair)]
        return torch.tensor(rows).expand(len(pair.z), -1, -1)

    def points(self, s: Tensor, betti: Tensor) -> tuple[Tensor, ...]:
        wanted = {dimension: number for dimension, number in enumerate(betti.tolist()) if number != FREE}
        found = self.pairs(s, list(wanted))
        signs = [self.signs(s, found[dimension], number) for dimension, number in wanted.items()]
        pairs = torch.cat(list(found.values()))
        return pairs.clamp(min=0), pairs != NEVER, torch.cat(signs), s.new_tensor(sum(wanted.values()))

    def formula(self, s: Tensor, within: Tensor, signs: Tensor, wanted: Tensor) -> Tensor:
        born, dies = (s * within).unbind(-1)
        # Each wanted feature costs 1, less by what there is of it.
        return wanted + (signs * (born - dies) ** self.power).sum(dtype=torch.float64)

    def signs(self, s: Tensor, pairs: Tensor, number: int) -> Tensor:
        """Return -1 for the longest features, as many as are wanted, and 1 for all others, (P,)."""
        born, dies = ends(s, pairs)
        signs = torch.ones_like(born)
        signs[(born - dies).argsort(descending=True, stable=True)[:number]] = -1
        return signs


def check_prior(prior: tuple[Any, ...]) -> None:
    """Raise ValueError unless it is a class, or different classes, and its Betti numbers."""
    classes, numbers = (*prior, None, None)[:2]
    members = (classes,) if isinstance(classes, int) else classes
    whole = isinstance(members, tuple) and isinstance(numbers, tuple) and len(prior) == 2
    if not (whole and members and numbers and min(*members, *numbers) >= 0 and len(set(members)) == len(members)):
        raise ValueError(
            f"BettiPrior.betti has the entry {brief(prior)}, expected a class, or several, and its Betti numbers from "
            "0 on, as (1, (1, 0)) or ((1, 2), (1, 0))"
        )
