"""Facts of a metric that ranking needs; they come from the metric's card."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import get_args

from lossodyssey.cards import EXCESS, FOLDED, Better, Card, find_card, fold
from lossodyssey.ranking.nouns import noun
from lossodyssey.table import Row

SLACK = 1e-6
LENGTHS = ("mm", "px")


@dataclass(frozen=True)
class Measure:
    """Which way a metric points and what its differences mean.

    `best` is the value of a perfect case; `worst` the value no case can fall below, NaN where there is none (then the
    case's greatest distance stands in, or the worst value seen); `margin` the largest difference that does not matter;
    `clear` the amount by which a case is clearly worse, NaN where it is not known. Of a `signed` measure, the size
    |value| is compared. `range` holds the values that can occur. `lengths` is "mm" or "px" where the table says it.
    """

    higher_is_better: bool
    best: float
    worst: float
    margin: float
    clear: float = math.nan
    signed: bool = False
    unit: str = ""
    range: tuple[float, float] = (-math.inf, math.inf)
    lengths: str = ""

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share in [0, 1], 1 being best."""
        return self.higher_is_better and self.range == (0.0, 1.0)

    @property
    def has_greatest(self) -> bool:
        """Whether the table's column `greatest` bounds the metric: for distances, and for metrics without a card."""
        return not self.higher_is_better and (self.unit == "mm" or math.isnan(self.best))

    @property
    def arrow(self) -> str:
        """The way that better values lie."""
        return "→ 0" if self.signed else "↑" if self.higher_is_better else "↓"

    def titled(self, metric: str) -> str:
        """Return the metric with its unit and the way that is better: `HD95 (mm or px) ↓`."""
        unit = self.unit_in_words
        return f"{metric} ({unit}) {self.arrow}" if unit and "(" not in metric else f"{metric} {self.arrow}"

    @property
    def unit_in_words(self) -> str:
        """The unit of values: of lengths pixels where there was no spacing, and either where the table is silent."""
        lengths = self.lengths or "mm or px"
        volumes = {"mm": "mm³ or mm²", "px": "px"}.get(self.lengths, "mm³, mm² or px")
        return {"mm": lengths, "mm^n": volumes}.get(self.unit, self.unit)

    @property
    def sign(self) -> int:
        """Factor that makes larger values better."""
        return 1 if self.higher_is_better else -1


def measure(metric: str, higher_is_better: Mapping[str, bool] | None = None, better: str = "") -> Measure:
    """Look up a metric by its name as people write it, see `cards.canonical`.

    `higher_is_better={"name": True}` overrules the card. A metric without card needs it, or `better` as the table's
    column says it.

    Raises:
        ValueError: all three are absent; the text has the option to type.
    """
    card = find_card(metric)
    given = (higher_is_better or {}).get(metric)
    if card is not None and given in (None, card.better == "higher"):
        return _of_card(card)

    # Turned against its card, the name means another quantity: range, margin and best value no longer hold.
    if given is not None:
        return Measure(given, best=math.nan, worst=math.nan, margin=0.0)
    if better:
        signed = better == "nearer 0"
        return Measure(better == "higher", best=0.0 if signed else math.nan, worst=math.nan, margin=0.0, signed=signed)
    raise ValueError(
        f"metric {metric!r} is not known here{_near(metric)}; say which way it points with "
        f"higher_is_better={{{metric!r}: True}} or False (command line: --higher {quote(metric)} if more is better, "
        f"--lower {quote(metric)} if less is)"
    )


def measures(
    rows: Sequence[Row], metrics: Iterable[str], higher_is_better: Mapping[str, bool] | None = None
) -> dict[str, Measure]:
    """Look up every metric, asking the rows' column `better` where a name has no card.

    Raises:
        ValueError: rows of one metric that point both ways, or in a way that has no name here; a value that its metric
            cannot take; a distance above the greatest of its case.
    """
    said, lengths = _said(rows), _lengths(rows)
    known = {
        metric: replace(measure(metric, higher_is_better, said.get(metric, "")), lengths=lengths.get(metric, ""))
        for metric in metrics
    }
    for row in rows:
        if row.metric in known and math.isfinite(row.value):
            _check(row, known[row.metric])
    return known


def _said(rows: Iterable[Row]) -> dict[str, str]:
    """Read the column `better` of each metric, where it says anything."""
    ways: dict[str, set[str]] = {}
    for row in rows:
        if row.better:
            ways.setdefault(row.metric, set()).add(row.better)
    for metric, found in ways.items():
        if len(found) > 1 or not found <= set(get_args(Better)):
            raise ValueError(
                f"metric {metric!r}: column better holds {sorted(found)}; expected one of {list(get_args(Better))}"
            )
    return {metric: found.pop() for metric, found in ways.items()}


def _lengths(rows: Iterable[Row]) -> dict[str, str]:
    """Read the column `lengths` of each metric; nothing where the rows do not all say the same."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.metric, set()).add(row.lengths)
    wrong = sorted(set().union(*found.values()) - {"", *LENGTHS})
    if wrong:
        raise ValueError(f"column lengths holds {wrong[0]!r}; expected one of {', '.join(LENGTHS)}, or nothing")
    return {metric: next(iter(said)) for metric, said in found.items() if len(said) == 1}


def _check(row: Row, known: Measure) -> None:
    # A DSC of 87 is percent, -1 a mark for a failure: both would silently decide the ranking.
    low, high = known.range
    if not low - EXCESS < row.value < high + EXCESS:
        share = ", or --percent (read_rows: percent=) if all are in percent" if known.is_share else ""
        raise ValueError(f"{_where(row)}; expected {low:g} to {high:g}{share}")
    # NaN in `greatest` compares false, so a table without the column passes.
    if known.has_greatest and row.value > row.greatest * (1 + SLACK):
        raise ValueError(f"{_where(row)}, above {row.greatest:g} in column greatest; correct one")


def _where(row: Row) -> str:
    return f"{row.metric} of {noun()} {row.loss!r} in case {row.case!r} is {row.value:g}"


def _of_card(card: Card) -> Measure:
    return Measure(
        higher_is_better=card.better == "higher",
        best=card.best,
        worst=card.worst,
        margin=card.margin,
        clear=card.clear,
        signed=card.better == "nearer 0",
        unit=card.unit,
        range=card.range,
    )


def _near(metric: str) -> str:
    # A high cutoff: a wrong guess at a metric's name is worse than none.
    close = difflib.get_close_matches(fold(metric), FOLDED, n=1, cutoff=0.88)
    return f" (if it is {FOLDED[close[0]]}, call it so)" if close else ""
