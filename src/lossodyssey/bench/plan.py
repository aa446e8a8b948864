"""A plan: everything that decides a comparison, as values that were checked one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lossodyssey.bench.measures import ARGMAX
from lossodyssey.metrics.score import DEFAULT

ENGINES = ("light", "nnunet")

Parts = int | float
"""A number of cases, or a fraction of them below 1."""


@dataclass(frozen=True, slots=True)
class PlannedLoss:
    """A loss of a plan: its text, or the texts of the stages that its networks are trained with one after the other.

    `learning_rates` are its own; those of the plan hold where there are none.
    """

    stages: tuple[str, ...]
    name: str = ""
    learning_rates: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedData:
    """A data set of a plan, by name or folder; `held_out` and `folds` are its own, where they are given."""

    name: str
    held_out: Parts | None = None
    folds: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Data sets x losses x learning rates x folds x seeds x budgets, trained by one engine.

    `folds` is their number, or a file of them; without it `held_out` cases are scored, and without both those that the
    one division in the data set's own `splits_final.json` scores, else a fifth. `validation` cases are taken from those
    left for training. `settings` are the engine's; `variants` are named changes of them, each of which makes
    a task of its own of every data set. `lines` says where in its file each key stands.
    """

    datasets: tuple[PlannedData, ...]
    losses: tuple[PlannedLoss, ...]
    name: str = ""
    learning_rates: tuple[float, ...] = ()
    folds: int | str | None = None
    held_out: Parts | None = None
    validation: Parts = 0
    seeds: int = 3
    steps: tuple[int, ...] = ()
    search_steps: int = 0
    metrics: tuple[str, ...] = DEFAULT
    decoding: tuple[str, ...] = (ARGMAX,)
    engine: str = "light"
    settings: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: str = "plan"
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)

    def where(self, *place: str | int) -> str:
        """Return the file and line of a key, or of the nearest one around it: `plan.yaml, line 7: losses`."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return f"{self.file}, line {self.lines[place[:length]]}: {place[0]}"
        return f"{self.file}: {place[0]}"
