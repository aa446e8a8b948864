"""Weights that change while training goes on: progress in 0..1 -> weight.

    Ramp(1, 0.01) * Dice() + Ramp(0.01, 1) * Boundary()

A schedule is a frozen value without state; the `Sum` that uses it holds the progress, and `advance` moves it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lossodyssey.core.fields import finite, number_text


@dataclass(frozen=True, repr=False)
class Schedule:
    """Abstract: a weight as a function of progress."""

    def __post_init__(self) -> None:
        for value in astuple(self):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{type(self).__name__} takes finite numbers, got {value!r}")
            finite(f"a number of {type(self).__name__}", value)

    def __call__(self, progress: Tensor) -> Tensor:
        """Return the weight at `progress` (a zero-dimensional tensor in 0..1)."""
        raise NotImplementedError("abstract")

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest weight: of the schedules here, the first two numbers."""
        first, second, *_ = astuple(self)
        return min(first, second), max(first, second)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(number_text(value) for value in astuple(self))})"


@dataclass(frozen=True, repr=False)
class Ramp(Schedule):
    """From `start` to `end` along a straight line, over the first `over` (a fraction) of the training.

    `Ramp(1, 0.01, 0.1)` is the boundary loss's rebalancing of 0.01 per epoch for a training of 1000 epochs
    (Kervadec et al. 2019).
    """

    start: float
    end: float
    over: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.over <= 1:
            raise ValueError(f"Ramp.over is {self.over}, expected a fraction of the training in (0, 1]")

    def __call__(self, progress: Tensor) -> Tensor:
        return self.start + (self.end - self.start) * (progress / self.over).clamp(max=1)

    def __repr__(self) -> str:
        over = "" if self.over == 1 else f", {number_text(self.over)}"
        return f"Ramp({number_text(self.start)}, {number_text(self.end)}{over})"


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """From `start` to `end` along half a cosine wave."""

    start: float
    end: float

    def __call__(self, progress: Tensor) -> Tensor:
        return self.end + (self.start - self.end) * (1 + torch.cos(math.pi * progress)) / 2


@dataclass(frozen=True, repr=False)
class Geometric(Schedule):
    """From `start` to `end`, both above 0, by the same factor in every step of the progress."""

    start: float
    end: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.start, self.end) <= 0:
            raise ValueError(f"{self!r} takes two numbers above 0: a factor leads neither from 0 nor to it")

    def __call__(self, progress: Tensor) -> Tensor:
        return self.start * (self.end / self.start) ** progress


@dataclass(frozen=True, repr=False)
class Step(Schedule):
    """`before` until the progress reaches `at`, `after` from then on.

    Two-phase training is `Step(1, 0, 0.5) * CrossEntropy() + Step(0, 1, 0.5) * Lovasz()`.
    """

    before: float
    after: float
    at: float = 0.5

    def __call__(self, progress: Tensor) -> Tensor:
        return torch.where(progress < self.at, self.before, self.after)


@dataclass(frozen=True)
class Ratio:
    """The weight that makes a term as large as all other terms of its sum together, without gradient.

    `over="epoch"` takes it from the means over the previous epoch (1 in the first, as Karimi and Salcudean 2019);
    "batch" from each batch.
    """

    over: str = "epoch"

    def __post_init__(self) -> None:
        if self.over not in ("epoch", "batch"):
            raise ValueError(f'Ratio.over is {self.over!r}, expected "epoch" or "batch"')

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest weight, where no term is negative."""
        return 0.0, math.inf

    def __repr__(self) -> str:
        return "Ratio()" if self.over == "epoch" else f"Ratio({self.over!r})"


Weight = float | Schedule | Ratio
"""The factor before a term of a sum."""


@dataclass(frozen=True)
class FromDice:
    """A hyper-parameter per class: `most` times the class's Dice score on validation data, as `observe` last told it.

    `TvMFDice(kappa=FromDice(32))`. Where the scores are those of the foreground, the background has their mean.
    """

    most: float

    described: ClassVar[str] = "FromDice(most)"

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or not isinstance(self.most, int | float) or not 0 < self.most < math.inf:
            raise ValueError(f"FromDice.most is {self.most!r}, expected a positive number")

    def __call__(self, dice: Tensor, sums: Tensor) -> Tensor:
        """Return the values of the classes of `sums` (N, classes), or one for all; `dice` is what was told.

        Raises:
            ValueError: nothing was told, or scores of another number of classes.
        """
        if dice.shape == (0,):
            raise ValueError(
                f"{self!r} follows the Dice scores of validation data, and was told none: call observe(loss, dice=0) "
                "before the first epoch, and observe(loss, dice=scores) after each"
            )
        classes = sums.shape[1]
        if dice.shape == (classes - 1,):
            dice = torch.cat([dice.mean(0, keepdim=True), dice])
        if dice.shape not in ((), (classes,)):
            raise ValueError(
                f"{self!r} was told {len(dice)} Dice scores, but {classes} classes count; expected one for each of "
                "them, or for all but the background"
            )
        return (self.most * dice).to(sums)

    def __repr__(self) -> str:
        return f"FromDice({number_text(self.most)})"


SCHEDULES: dict[str, type[Schedule] | type[Ratio] | type[FromDice]] = {
    cls.__name__: cls for cls in (Ramp, Cosine, Geometric, Step, Ratio, FromDice)
}
"""The values that change along a training, by their names in the text of a loss."""


def advance(loss: nn.Module, progress: float) -> None:
    """Move every schedule inside `loss` (a loss, a sum or a criterion) to `progress`, once per epoch.

    Raises:
        ValueError: `progress` is outside 0..1.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress is {progress}, expected epoch / epochs in 0..1")
    for module in loss.modules():
        if (move := getattr(module, "advance", None)) is not None:
            move(progress)


def follows_dice(loss: nn.Module) -> bool:
    """Return whether a hyper-parameter of a loss inside `loss` follows Dice scores, which `observe` has to tell."""
    return any(isinstance(value, FromDice) for module in loss.modules() for value in vars(module).values())


def observe(loss: nn.Module, *, dice: float | Sequence[float] | Tensor) -> None:
    """Tell every loss inside `loss` the Dice scores on validation data, before the first epoch and after each.

    Scores in 0..1 are those of the foreground classes, or regions, in their order; one number is that of all classes,
    such as the 0 to begin with. NaN, of a class that validation data lack, leaves the last score as it is.

    Raises:
        ValueError: a score outside 0..1, or of another number of classes than before.
    """
    scores = torch.as_tensor(dice, dtype=torch.float64).detach()
    if scores.ndim > 1 or scores.shape == (0,) or bool(((scores < 0) | (scores > 1)).any()):
        raise ValueError(f"dice is {dice!r:.80}, expected a number in 0..1, or one for each class")
    for module in loss.modules():
        if (take := getattr(module, "take_dice", None)) is not None:
            take(scores)
