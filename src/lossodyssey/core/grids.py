"""The kinds of loss that look at neighbours: formulas on the whole grid, and formulas at points chosen on it."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import torch
from torch import Tensor

from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair

GRIDS = ("s", "g", "valid", "weight", "image", "spacing", "exclusive")
"""What a formula on the grid may ask for, beside the entries of its loss's `auxiliaries`."""


class GridLoss(Loss, abstract=True, local=False):
    """Abstract: the mean over samples and classes of `formula`, a function of the whole grid.

    The formula names what it wants, everything (N, C, *S) of the classes that count: `s`, `g`; `valid`, bool, and
    `weight`, how much each voxel counts (N, 1 or C, *S); `image` (N, K, *S), without which a call is refused;
    `spacing` (N, S), 1 where the call has none; `exclusive`, whether a voxel has one class only (softmax); the entries
    of `auxiliaries` by their names. It returns one value per
    sample and class, (N, C). In voxels that do not count, s and g are 0.
    """

    background: bool = False
    wants: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **facts: Any) -> None:
        cls.wants = tuple(inspect.signature(cls.formula).parameters)[1:]
        cls.needs_image = "image" in cls.wants
        super().__init_subclass__(**facts)

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return one value per sample and class, (N, C)."""
        raise NotImplementedError("abstract")

    def of(self, pair: Pair) -> Tensor:
        first = pair.first_class(self.background)
        values = self.formula(*(self.grid(pair, name, first) for name in self.wants))
        share = self.share(self._weight(pair, first).flatten(2)).expand_as(values)
        return quotient((values * share).sum(dtype=torch.float64), share.sum(dtype=torch.float64))

    def share(self, weight: Tensor) -> Tensor:
        """Return what each sample and class weighs in the mean: 1, or 0 where no voxel of `weight` (N, C, V) counts."""
        return (weight > 0).any(2)

    def grid(self, pair: Pair, name: str, first: int) -> Any:
        """Return what the formula asks for by this name, of the classes from `first` on.

        Raises:
            ValueError: no image where the formula looks at it, or a name that means nothing.
        """
        auxiliaries = self.auxiliaries()
        if name in auxiliaries:
            found = pair.auxiliary(auxiliaries[name])
            return unflattened(found if found.shape[1] == 1 else found[:, first:], pair)
        if name == "spacing":
            return pair.steps
        if name == "exclusive":
            return not pair.sigmoid
        if name == "image":
            return needed_image(self, pair)
        if name not in GRIDS:
            known = ", ".join([*GRIDS, *auxiliaries])
            raise ValueError(f"{type(self).__name__}.formula asks for {name!r}, expected one of {known}")
        return getattr(self, f"_{name}")(pair, first)

    def _weight(self, pair: Pair, first: int) -> Tensor:
        weight = torch.ones_like(pair.s[:, :1]) if pair.weight is None else pair.weight
        return unflattened(weight if weight.shape[1] == 1 else weight[:, first:], pair)

    def _valid(self, pair: Pair, first: int) -> Tensor:
        return self._weight(pair, first) > 0

    def _s(self, pair: Pair, first: int) -> Tensor:
        return self._counted(pair.s[:, first:], pair, first)

    def _g(self, pair: Pair, first: int) -> Tensor:
        return self._counted(pair.g[:, first:], pair, first)

    def _counted(self, values: Tensor, pair: Pair, first: int) -> Tensor:
        grid = unflattened(values, pair)
        return grid if pair.weight is None else torch.where(self._valid(pair, first), grid, 0)


class CriticalLoss(Loss, abstract=True, local=False, one_graph=False):
    """Abstract: the mean over samples and classes of `formula(s, *constants)`, with s at points chosen for it.

    `points(s, g)` sees one sample and class (*S), without a gradient, and returns flat indices of voxels (any shape)
    and the constants that the formula wants beside them; the formula gets s at these voxels, in that shape, and
    returns a scalar. What is chosen, and how often, depends on values: it is no part of a compiled graph.
    """

    background: bool = False

    def points(self, s: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        """Return the flat indices of the chosen voxels, and the constants of the formula."""
        raise NotImplementedError("abstract")

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return a scalar, a function of s at the points and of constants."""
        raise NotImplementedError("abstract")

    def of(self, pair: Pair) -> Tensor:
        first = pair.first_class(self.background)
        s, g = pair.s[:, first:], pair.g[:, first:]
        if pair.weight is not None:
            s, g = (
                torch.where(pair.weight > 0 if pair.weight.shape[1] == 1 else pair.weight[:, first:] > 0, x, 0)
                for x in (s, g)
            )
        counted = pair.counted[:, first:]
        values = [
            [self.at_points(s[n, c], g[n, c], pair) if counted[n, c] else s[n, c, :0].sum() for c in range(s.shape[1])]
            for n in range(len(s))
        ]
        if not len(s):
            return pair.z.sum() * 0
        return quotient(torch.stack([torch.stack(row) for row in values]).sum(dtype=torch.float64), counted.sum())

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def at_points(self, s: Tensor, g: Tensor, pair: Pair) -> Tensor:
        """Return the formula at the points of one sample and class, s and g (V,)."""
        with torch.no_grad():
            index, *constants = self.points(s.detach().reshape(pair.shape), g.reshape(pair.shape))
        return self.formula(s[index], *constants)


def unflattened(values: Tensor, pair: Pair) -> Tensor:
    """Return (N, C, V) as (N, C, *S)."""
    return values.reshape(*values.shape[:2], *pair.shape)


def needed_image(loss: Loss, pair: Pair) -> Tensor:
    """Return the image (N, K, *S) of the pair.

    Raises:
        ValueError: the call has none.
    """
    if pair.image is None:
        raise ValueError(
            f"{type(loss).__name__} looks at the image, and the call has none: give the network's input as image=, "
            f"(N, K, {', '.join(map(str, pair.shape))})"
        )
    return pair.image
