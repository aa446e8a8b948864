"""A measure is a function of a mask pair with its facts beside it; the registry collects them by name."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from lossodyssey.cards import CARDS, FOLDED, Better, Card, find_card, fold
from lossodyssey.metrics.masks import Forecast, MaskPair, mask_pair


@dataclass(frozen=True)
class Measure:
    """One measure: call it with two masks, or ask for its card.

    `measure(prediction, truth, spacing=None, at=None)` takes masks (nonzero is foreground) as NumPy arrays or torch
    tensors, 2D or 3D, the spacing in mm per array axis, and gives a float, NaN where it is undefined. `at` is the
    tolerance or width that a few measures take (`parameter` says what it is); None is their default. A measure
    `of_probabilities` looks at a class's probabilities, which `score` takes beside the label maps.
    """

    name: str
    card: Card
    undefined: str
    parameter: str
    of: Callable[..., float]
    of_probabilities: bool = False

    def __call__(
        self, prediction: Any, truth: Any, *, spacing: Sequence[float] | None = None, at: float | None = None
    ) -> float:
        return self.value(mask_pair(prediction, truth, spacing), at)

    def value(self, pair: MaskPair | Forecast, at: float | None = None) -> float:
        return float(self.of(pair) if at is None else self.of(pair, at))

    @property
    def better(self) -> Better:
        return self.card.better

    @property
    def unit(self) -> str:
        return self.card.unit

    @property
    def range(self) -> tuple[float, float]:
        return self.card.range

    @property
    def default(self) -> float | None:
        """The default of its parameter; None where it has none, or where it depends on the image."""
        *_, last = inspect.signature(self.of).parameters.values()
        return None if last.default is inspect.Parameter.empty else last.default

    @property
    def definition(self) -> str:
        return inspect.getdoc(self.of) or ""


MEASURES: dict[str, Measure] = {}
"""Measures of two masks, by name."""

MEASURES_OF_PROBABILITIES: dict[str, Measure] = {}


def measure(
    name: str,
    *,
    card: Card | None = None,
    undefined: str = "both empty",
    parameter: str = "",
    of_probabilities: bool = False,
) -> Callable[[Callable[..., float]], Measure]:
    """Register a function of a `MaskPair`, or of `Forecast`, under `name`; `undefined` says when it gives NaN.

    The card of a listed name stands in `CARDS`, and any other name brings its own.

    Raises:
        ValueError: a listed name brings a card, or another name brings none.
    """
    if (card is None) != (name in CARDS):
        expected = "no card=, for it is listed in cards.py" if card else "card=, such as Card('lower', 'mm')"
        raise ValueError(f"measure {name!r}: expected {expected}")
    facts = card or CARDS[name]

    def register(function: Callable[..., float]) -> Measure:
        registry = MEASURES_OF_PROBABILITIES if of_probabilities else MEASURES
        registry[name] = Measure(name, facts, undefined, parameter, function, of_probabilities)
        return registry[name]

    return register


class Facts(TypedDict):
    """Cells of the long table that depend on the metric and its case alone."""

    greatest: float
    better: str
    lengths: str


def table_facts(metric: str, diagonal: float, sized: bool) -> Facts:
    """Return the facts that the long table holds beside a value of `metric`, in an image with this diagonal in mm.

    A distance cannot exceed the diagonal; a name that is not listed in `CARDS` does not tell which way it points. Where
    the image is not `sized`, the size of its pixels is not known, and lengths are in pixels.
    """
    found = find_measure(metric.partition("@")[0])
    greatest = diagonal if found.unit == "mm" else math.nan
    # A listed metric leaves `better` empty, so that one place says it.
    lengths = ("mm" if sized else "px") if found.unit in ("mm", "mm^n") else ""
    return Facts(greatest=greatest, better="" if find_card(metric) else found.better, lengths=lengths)


def find_measure(name: str) -> Measure:
    """Find a measure by its name as people write it: `DSC`, `Dice`, `betti error`.

    Raises:
        ValueError: no measure has this name; the text suggests the nearest.
    """
    every = MEASURES | MEASURES_OF_PROBABILITIES
    # Folded: to difflib "dsc" and "DSC" have nothing in common.
    folded = {text: known for text, known in FOLDED.items() if known in every} | {fold(known): known for known in every}
    if (text := fold(name)) in folded:
        return every[folded[text]]
    near = difflib.get_close_matches(text, folded, n=1)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"expected one of {', '.join(every)}"
    raise ValueError(f"metric {name!r} is unknown; {hint}")
