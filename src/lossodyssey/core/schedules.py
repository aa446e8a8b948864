"""Weights that change while training goes on: progress in 0..1 -> weight.

    Ramp(1, 0.01) * Dice() + Ramp(0.01, 1) * Boundary()

A schedule is a frozen value without state; the `Sum` that uses it holds the progress, and `advance` moves it.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

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

SCHEDULES: dict[str, type[Schedule] | type[Ratio]] = {
    cls.__name__: cls for cls in (Ramp, Cosine, Geometric, Step, Ratio)
}


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
