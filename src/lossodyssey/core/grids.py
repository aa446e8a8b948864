"""The kinds of loss that look at neighbours: formulas on the whole grid, and formulas at points chosen on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, ParamSpec, TypeVar

import torch
from torch import Tensor

from lossodyssey.core.apart import values_apart
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import Request

P = ParamSpec("P")
T = TypeVar("T")
GRIDS = ("s", "g", "log_p", "predicted", "true", "valid", "weight", "image", "spacing", "exclusive")
"""The grids that a function may ask for, beside the entries of its loss's `auxiliaries` and `heads`."""


class Gridded(Loss, abstract=True, local=False):
    """Abstract: a loss with a function of the grid (`reader`) that asks for grids by the names of its arguments.

    All are (N, C, *S) of the classes that count: `s`, `g`; `log_p`, the log-probability of the true class (N, 1, *S),
    under sigmoid that of the true state of each channel (N, C, *S); `predicted` and `true`, bool, the likeliest class
    of the prediction and of the truth (under sigmoid, more than 1/2); `valid`, bool, and `weight`, how much each voxel
    counts (N, 1 or C, *S); `image` (N, K, *S), without which a call is refused; `spacing` (N, S), 1 where the call has
    none; `exclusive`, whether a voxel has one class only (softmax); the entries of `auxiliaries` and `heads` by their
    names. In voxels that do not count, s, g, log_p, predicted, true and heads are 0.
    """

    background: bool = False
    reader: ClassVar[str] = "formula"
    wants: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **facts: Any) -> None:
        cls.wants = tuple(inspect.signature(getattr(cls, cls.reader)).parameters)[1:]
        cls.needs_image = "image" in cls.wants
        cls.supervised = bool({"g", "log_p", "true"} & set(cls.wants)) or cls.auxiliaries is not Loss.auxiliaries
        super().__init_subclass__(**facts)

    def formula(self, *args: Any, **kwargs: Any) -> Any:
        """Return the values of the loss."""
        raise NotImplementedError("abstract")

    def ask(self, pair: Pair, request: Request) -> None:
        if "log_p" in self.wants:
            request.log_p = True

    def share(self, weight: Tensor) -> Tensor:
        """Return the weight of each sample and class in the mean: 1, or 0 if no voxel of `weight` (N, C, V) counts."""
        return (weight > 0).any(2)

    def grids(self, pair: Pair) -> dict[str, Any]:
        """Return everything that the function asks for, by name."""
        first = pair.first_class(self.background)
        return {name: self.grid(pair, name, first) for name in self.wants}

    def grid(self, pair: Pair, name: str, first: int) -> Any:
        """Return the grid that the function asks for by this name, of the classes from `first` on.

        Raises:
            ValueError: no image where the function looks at it, or a name that means nothing.
        """
        auxiliaries = self.auxiliaries()
        if name in auxiliaries:
            found = pair.auxiliary(auxiliaries[name])
            return unflattened(found if found.shape[1] == 1 else found[:, first:], pair)
        if name in (heads := self.heads()):
            return unflattened(pair.head(heads[name], repr(self))[:, first:], pair)
        if name == "spacing":
            return pair.steps
        if name == "exclusive":
            return not pair.sigmoid
        if name == "image":
            return needed_image(self, pair)
        if name not in GRIDS:
            known = ", ".join([*GRIDS, *auxiliaries, *heads])
            raise ValueError(f"{type(self).__name__}.{self.reader} asks for {name!r}, expected one of {known}")
        return getattr(self, f"_{name}")(pair, first)

    def _weight(self, pair: Pair, first: int) -> Tensor:
        weight = torch.ones_like(pair.s[:, :1]) if pair.weight is None else pair.weight
        return unflattened(weight if weight.shape[1] == 1 else weight[:, first:], pair)

    def _valid(self, pair: Pair, first: int) -> Tensor:
        return self._weight(pair, first) > 0

    def _s(self, pair: Pair, first: int) -> Tensor:
        return self._counted(unflattened(pair.s[:, first:], pair), pair, first)

    def _g(self, pair: Pair, first: int) -> Tensor:
        return self._counted(unflattened(pair.g[:, first:], pair), pair, first)

    def _log_p(self, pair: Pair, first: int) -> Tensor:
        log_p = pair.log_p(self)
        return self._counted(unflattened(log_p if log_p.shape[1] == 1 else log_p[:, first:], pair), pair, first)

    def _predicted(self, pair: Pair, first: int) -> Tensor:
        return self._counted(class_masks(pair.hard_prediction("argmax"), pair, first), pair, first)

    def _true(self, pair: Pair, first: int) -> Tensor:
        return self._counted(class_masks(pair.truth_for_maps, pair, first), pair, first)

    def _counted(self, grid: Tensor, pair: Pair, first: int) -> Tensor:
        return grid if pair.weight is None else torch.where(self._valid(pair, first), grid, 0).to(grid.dtype)


class GridLoss(Gridded, abstract=True):
    """Abstract: the mean over samples and classes of `formula`, a function of the whole grid.

    The formula asks for grids by the names of its arguments, see `Gridded`. It returns one value per sample and
    class, (N, C); or a pair of these values and of how much each counts in the mean, (N, C), for a formula that has
    no value for some classes.

    `apart=True` on the class line says that the formula asks for s, returns values alone, and that each of them follows
    from the grids of its own sample and class: it is then evaluated on one after another, in less memory.
    """

    apart: ClassVar[bool] = False

    def __init_subclass__(cls, *, apart: bool | None = None, **facts: Any) -> None:
        if apart is not None:
            cls.apart = apart
        super().__init_subclass__(**facts)

    def of(self, pair: Pair) -> Tensor:
        if pair.z.numel() == 0:  # pools and differences have no result on a grid without voxels
            return pair.z.sum(dtype=torch.float64)
        grids = self.grids(pair)
        found = values_apart(self.formula, grids) if self.apart else self.formula(**grids)
        values, counts = found if isinstance(found, tuple) else (found, 1)
        first = pair.first_class(self.background)
        share = self.share(self._weight(pair, first).flatten(2)).expand_as(values) * counts
        return quotient((values * share).sum(dtype=torch.float64), share.sum(dtype=torch.float64))


def outside_graphs(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function kept out of compiled graphs, as by `torch.compiler.disable`, whose import takes a second."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if not torch.compiler.is_compiling():
            return function(*args, **kwargs)
        apart: Callable[P, T] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        return apart(*args, **kwargs)

    return call


class CriticalLoss(Gridded, abstract=True, one_graph=False):
    """Abstract: the mean over samples and classes of `formula(s, *constants)`, with s at points chosen for it.

    `points` asks for grids by the names of its arguments, see `Gridded`, and gets those of one sample and class (*S),
    without a gradient. It returns flat indices of voxels (any shape) and the constants that the formula wants beside
    them; the formula gets s at these voxels, in that shape, and returns a scalar. It is not asked where no voxel
    counts. Which points are chosen, and how often, depends on values, so the choice stays outside a compiled graph.
    """

    reader: ClassVar[str] = "points"

    def points(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        """Return the flat indices of the chosen voxels, and the constants of the formula."""
        raise NotImplementedError("abstract")

    def of(self, pair: Pair) -> Tensor:
        first = pair.first_class(self.background)
        s = self._s(pair, first)
        share = self.share(self._weight(pair, first).flatten(2)).expand(s.shape[:2])
        return quotient(self.summed(s, share, self.grids(pair)), self.divisor(share))

    def divisor(self, share: Tensor) -> Tensor:
        """Return the divisor of the sum over samples and classes, given the share (N, C) of each: the sum of all."""
        return share.sum(dtype=torch.float64)

    # One graph break for all samples and classes: the loops and the shapes in it depend on values.
    @outside_graphs
    def summed(self, s: Tensor, share: Tensor, grids: dict[str, Any]) -> Tensor:
        """Return the sum over samples and classes of the formula at the points, each times its share (N, C)."""
        total = s[:0].sum(dtype=torch.float64)
        for n, row in enumerate(share.tolist()):
            for c in (c for c, part in enumerate(row) if part):
                with torch.no_grad():
                    chosen = self.points(**{name: of_one(name, grids[name], n, c) for name in grids})
                # Points that are found on the processor go back to where s is.
                index, *constants = (each.to(s.device) for each in chosen)
                total = total + share[n, c] * self.formula(s[n, c].flatten()[index], *constants)
        return total


def of_one(name: str, grid: Any, sample: int, label: int) -> Any:
    """Return the part of a grid for one sample and class: without a gradient, (*S) where it can."""
    if name == "exclusive":
        return grid
    if name in ("image", "spacing"):
        return grid[sample].detach()
    return grid[sample, label if grid.shape[1] > 1 else 0].detach()


def class_masks(hard: Tensor, pair: Pair, first: int) -> Tensor:
    """Return the masks (N, C, *S) of the classes from `first` on, of labels (N, *S) or of masks of all classes."""
    if hard.ndim == 2 + len(pair.shape):
        return hard[:, first:]
    labels = torch.arange(first, pair.classes, device=hard.device).reshape(-1, *(1 for _ in pair.shape))
    return hard[:, None] == labels


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
