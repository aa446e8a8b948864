"""The primitives of voxel formulas: functions of the true class's log-probability that compiled code knows.

A loss that declares its formula as a sum of them is computed inside the pass over the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

TINY = 1e-8
"""Powers below 1 are taken of no less: their derivatives are infinite at 0."""

Factors = Mapping["Power", Tensor | float]
"""The factor of each power in a formula, by label and class."""
Declaration = Callable[[Tensor, Tensor], Factors | None]
"""(labels (C, E), classes (C, E)) -> factors; E is 1 under softmax, and counts true and false state under sigmoid."""


@dataclass(frozen=True)
class Power:
    """(1 - p)^error (-ln p)^log where ln p < `level`, else 0.

    With a `margin` b, ln(1 + b (1 - p)) stands in place of (1 - p)^error.

    `of_map` is the place of a map, among those of the formula, that multiplies it.
    """

    error: float = 0.0
    log: float = 0.0
    level: float = inf
    margin: float = 0.0
    of_map: int | None = None

    def __call__(self, log_p: Tensor) -> Tensor:
        """Return its values, without the map: the definition of what the compiled code computes."""
        missed, cross_entropy = -torch.expm1(log_p), -log_p
        values = torch.log1p(self.margin * missed) if self.margin else _power(missed, self.error)
        if self.log:
            values = values * cross_entropy * _power(cross_entropy, self.log - 1)
        return torch.where(log_p < self.level, values, 0)

    @property
    def numbers(self) -> list[float]:
        """Its numbers in the order of the compiled code."""
        return [self.error, self.log, self.level, self.margin]


def _power(x: Tensor, exponent: float) -> Tensor:
    return x**exponent if exponent >= 1 or exponent == 0 else x.clamp(min=TINY) ** exponent


@dataclass(frozen=True)
class Table:
    """The different powers of several formulas, each with its map, and the factors (T, C, E, P) of each formula."""

    powers: list[Power]
    maps: list[Tensor | None]
    factors: Tensor

    @property
    def numbers(self) -> Tensor:
        return torch.tensor([power.numbers for power in self.powers], dtype=torch.float64).reshape(-1, 4)


def table(terms: list[tuple[Factors, tuple[Tensor, ...]]], classes: int, states: int) -> Table:
    """Gather the powers of formulas, given with their maps: a power of several formulas stands there once."""
    keys: dict[tuple[Power, int | None], tuple[Power, Tensor | None]] = {}
    columns: list[dict[tuple[Power, int | None], Tensor | float]] = []
    for factors, maps in terms:
        column = {}
        for power, factor in factors.items():
            m = None if power.of_map is None else maps[power.of_map]
            key = (power, None if m is None else id(m))
            keys[key], column[key] = (power, m), factor
        columns.append(column)

    found = torch.zeros((len(terms), classes, states, len(keys)), dtype=torch.float64)
    for k, column in enumerate(columns):
        for place, key in enumerate(keys):
            if key in column:
                found[k, :, :, place] = torch.as_tensor(column[key], dtype=torch.float64)
    return Table([power for power, _ in keys.values()], [m for _, m in keys.values()], found)
