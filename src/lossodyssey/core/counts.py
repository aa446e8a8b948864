"""The sums that overlap losses are functions of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lossodyssey.core.distributed import over_ranks
from lossodyssey.kernels.plain import summed_values

if TYPE_CHECKING:
    from lossodyssey.core.cells import Cells
    from lossodyssey.core.loss import Loss
    from lossodyssey.core.pair import Pair

COUNTS = ("s", "g", "tp", "fp", "fn", "tn", "s2", "tp2", "fp2", "sg", "g2", "n", "w", "foreground")
"""The sums that a formula may ask for, beside `s_x` and `g_x` for the auxiliary values x of its loss."""


@dataclass(frozen=True)
class Counts:
    """Soft counts per unit and class, (units, classes), float64.

    s: sum of the probability. g: true voxels. tp, fp, fn, tn: true and false positives and negatives. n: voxels.
    s2: sum of the squared probability; tp2 and fp2: the same over true and over false voxels (None unless asked for).
    sg: sum of s times g, g2: sum of the squared truth; tp and g, unless the truth is soft. Of a soft truth tp is the
    sum of min(s, g), fp of (s - g)^+ and fn of (g - s)^+, so that s = g is free of errors.
    w: the weight of each class in the mean (see `weighing`). foreground: (classes,) bool, which of them are foreground.
    `under` holds the sums of s and of g under each auxiliary value, `own` those of values that the loss makes of s and
    g, by their names.
    """

    sums: Tensor
    g: Tensor
    n: Tensor
    foreground: Tensor
    under: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    own: dict[str, Tensor] = field(default_factory=dict)
    w: Tensor | None = None

    @classmethod
    def of(cls, pair: Pair, loss: Loss, *, first: int, batch: bool, own: Mapping[str, Tensor] | None = None) -> Counts:
        """Return the counts of a loss from class `first` on, per sample or summed over the batch.

        A batch is that of all processes of a distributed training, unless the pair is a part of one. `own` are sums
        (N, C) that the loss made itself.
        """
        own = own or {}
        if pair.cells is not None:
            return cls._of_cells(pair, pair.cells, own, squares=wants_squares(loss))
        statistics, names = pair.statistics(loss), list(loss.auxiliaries())
        false = false_voxels(
            statistics.truths, statistics.voxels, exclusive=not pair.sigmoid, exact=pair.counts_exactly
        )
        tables = [
            statistics.sums,
            statistics.truths,
            # n from g and the false voxels, so that n - g loses nothing to another order of summation.
            statistics.truths + false,
            *own.values(),
            *(pair.map_sums(loss) if names else ()),
        ]

        tables = [table[:, first:] for table in tables]
        if batch:
            # Summed before the formula: batch Dice is a ratio of sums, not a mean of ratios.
            tables = [table.sum(0, keepdim=True) for table in tables]
            tables = [over_ranks(table) for table in tables] if pair.whole else tables

        sums, truths, voxels, *others = tables
        own, under = dict(zip(own, others, strict=False)), others[len(own) :]

        # Class 0 is background only where classes are exclusive; under sigmoid every region is foreground.
        foreground = torch.arange(first, first + truths.shape[1], device=truths.device) >= (not pair.sigmoid)
        by_name = {name: (under[0][..., k], under[1][..., k]) for k, name in enumerate(names)}
        return cls(sums, truths, voxels, foreground, by_name, own)

    @classmethod
    def _of_cells(cls, pair: Pair, cells: Cells, own: Mapping[str, Tensor], *, squares: bool) -> Counts:
        """Return the counts of every cell, as units of one class whose weights are their shares in the mean."""
        if cells.hard:
            # Two columns from one sum: a cell's false voxels, and its true ones.
            sums = torch.cat([cells.by_truth(x) for x in ([pair.s, pair.s**2] if squares else [pair.s])], 1)[:, None]
            truths, false = cells.voxels[:, 1:], cells.voxels[:, :1]
        else:
            values = summed_values(pair.s, pair.g, soft=True, squares=squares)
            sums, truths = torch.stack([pair.total(x) for x in values], 2), pair.total(pair.g)
            false = false_voxels(truths, cells.voxels.sum(1, keepdim=True), exclusive=False, exact=False)
        foreground = torch.ones(1, dtype=torch.bool, device=sums.device)
        return cls(sums, truths, truths + false, foreground, own=dict(own), w=cells.share)

    def weighing(self, w: Tensor) -> Counts:
        """Return the counts with the weights (units, classes) of the classes in the mean."""
        return replace(self, w=w)

    def pooled(self) -> Counts:
        """Return the counts summed over the classes, each times its weight, as those of one class."""
        w = torch.ones_like(self.g) if self.w is None else self.w

        def total(table: Tensor) -> Tensor:
            return (table * w).sum(1, keepdim=True)

        return Counts(
            sums=(self.sums * w[..., None]).sum(1, keepdim=True),
            g=total(self.g),
            n=total(self.n),
            foreground=self.foreground[:1],
            under={name: (total(s), total(g)) for name, (s, g) in self.under.items()},
            own={name: total(table) for name, table in self.own.items()},
        )

    def named(self, name: str) -> Tensor | None:
        """Return the sum that a formula asks for: one of `COUNTS`, `s_x` or `g_x` for an auxiliary x, or its own."""
        if name in self.own:
            return self.own[name]
        kind, _, auxiliary = name.partition("_")
        if auxiliary in self.under:
            return self.under[auxiliary][kind == "g"]
        found: Tensor | None = getattr(self, name)
        return found

    @property
    def s(self) -> Tensor:
        return self.tp + self.fp

    @property
    def fp(self) -> Tensor:
        return self.sums[..., 0]

    @property
    def tp(self) -> Tensor:
        return self.sums[..., 1]

    @property
    def fn(self) -> Tensor:
        return self.g - self.tp

    @property
    def tn(self) -> Tensor:
        return self.n - self.g - self.fp

    @property
    def s2(self) -> Tensor | None:
        return self.sums[..., 2] + self.sums[..., 3] if self.sums.shape[2] > 2 else None

    @property
    def fp2(self) -> Tensor | None:
        return self.sums[..., 2] if self.sums.shape[2] > 2 else None

    @property
    def tp2(self) -> Tensor | None:
        return self.sums[..., 3] if self.sums.shape[2] > 2 else None

    @property
    def sg(self) -> Tensor:
        # Of a hard truth sum min(s, g) is sum s g, and sum g^2 is sum g.
        return self.sums[..., 4] if self.sums.shape[2] > 4 else self.tp

    @property
    def g2(self) -> Tensor:
        return self.sums[..., 5] if self.sums.shape[2] > 4 else self.g


def wants_squares(loss: Loss) -> bool:
    """Return whether the formula of an overlap loss asks for squared sums.

    A loss with a field `square` wants them only when it is set.
    """
    return bool({"s2", "tp2", "fp2"} & set(getattr(loss, "wants", ()))) and getattr(loss, "square", True)


def false_voxels(truths: Tensor, voxels: Tensor, *, exclusive: bool, exact: bool) -> Tensor:
    """Return the voxels (N, C) that count and are not of the class, exactly 0 for a class that fills its sample.

    For exclusive classes they are the voxels of the other classes: subtracting from all voxels, which are added up in
    another order, would leave a rounding error, and losses divide by it. Without weights sums of voxels are `exact`.
    """
    if exclusive:
        others = 1 - torch.eye(truths.shape[1], dtype=truths.dtype, device=truths.device)
        # Row c of the product sums the true voxels of every class but c.
        return truths @ others
    false = voxels - truths
    return false if exact else torch.where(false > 1e-6 * voxels, false, 0)
