"""The effects that the project measured itself: a loss against a common reference, data set by data set."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from lossodyssey.core.atlas import CARDS
from lossodyssey.guide.nearest import FACTS, Facts

if TYPE_CHECKING:
    from lossodyssey.ranking.rank import Ranking

FILES = ("measured.csv", "measured_vessels.csv")
"""Written by `paper/odyssey.py` and by `paper/vessels.py`."""
TEXTS = ("loss", "expression", "reference", "dataset", "metric")
NUMBERS = ("difference", "low", "high")
COUNTS = ("cases", "seeds", "steps")


@dataclass(frozen=True)
class Effect:
    """The mean of a metric of one loss minus that of `reference`, with 95 % limits for both trained again.

    Positive is better, whatever the metric. `loss` is the name in the tables, `expression` the loss itself, `steps` the
    length of the trainings.
    """

    loss: str
    expression: str
    reference: str
    dataset: str
    metric: str
    difference: float
    low: float
    high: float
    cases: int
    seeds: int
    steps: int
    facts: Facts = field(default_factory=Facts)

    @property
    def told(self) -> str:
        """The difference in words, such as `DSC -0.004 (-0.009 to 0.001)`."""
        return f"{self.metric} {self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


@cache
def effects() -> tuple[Effect, ...]:
    """Read all effects that were measured; none where no records were kept."""
    found = [files("lossodyssey.guide") / name for name in FILES]
    texts = [file.read_text(encoding="utf-8") for file in found if file.is_file()]
    return tuple(_effect(line) for text in texts for line in csv.DictReader(text.splitlines()))


def _effect(line: dict[str, str]) -> Effect:
    texts, counts = {name: line[name] for name in TEXTS}, {name: int(line[name]) for name in COUNTS}
    numbers = {name: float(line[name]) for name in NUMBERS}
    return Effect(**texts, **numbers, **counts, facts=Facts.read(line))  # type: ignore[arg-type]


def effects_of(
    ranking: Ranking, reference: str, expressions: Mapping[str, str], steps: int, facts: Facts
) -> Iterator[Effect]:
    """Yield the effect of every loss of a ranking of one data set against its loss `reference`.

    Raises:
        ValueError: the ranking lacks the reference.
    """
    for standing in ranking.standings:
        cell, (low, high) = standing.cell, standing.pairs.limits()
        if reference not in cell.losses:
            raise ValueError(f"{cell.task}: has no loss {reference!r} to hold the others against")
        j = cell.losses.index(reference)
        for i, loss in enumerate(cell.losses):
            if i != j:
                yield Effect(
                    loss=loss,
                    expression=expressions[loss],
                    reference=expressions[reference],
                    dataset=cell.task,
                    metric=cell.metric,
                    difference=float(standing.pairs.difference[i, j]),
                    low=float(low[i, j]),
                    high=float(high[i, j]),
                    cases=len(cell.cases),
                    seeds=int(cell.seeds[i]),
                    steps=steps,
                    facts=facts,
                )


def as_csv(found: Iterable[Effect]) -> str:
    """Return effects as the text of a table that `effects` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*TEXTS, *NUMBERS, *COUNTS, *FACTS))
    for effect in found:
        numbers = (f"{getattr(effect, name):.4f}" for name in NUMBERS)
        names, counts = ([getattr(effect, name) for name in own] for own in (TEXTS, COUNTS))
        writer.writerow((*names, *numbers, *counts, *effect.facts.texts()))
    return text.getvalue()


def measured(name: str, found: Iterable[Effect] | None = None) -> str:
    """Return what was measured of the loss of this name, in its forms, as a section; empty if nothing was."""
    own = [effect for effect in (effects() if found is None else found) if _is_of(name, effect.expression)]
    references = dict.fromkeys(effect.reference for effect in own)
    parts = [_table(reference, [each for each in own if each.reference == reference]) for reference in references]
    return "\n\n".join(["## Measured", *parts]) if own else ""


def _table(reference: str, own: list[Effect]) -> str:
    datasets = sorted({effect.dataset for effect in own})
    lines = [
        f"On {len(datasets)} data set{'s' * (len(datasets) != 1)}, against `{reference}`, both trained again: "
        "mean difference with 95 % limits, positive where this loss is better.",
        "",
        "| data set | steps | as | " + " | ".join(metrics := [*dict.fromkeys(effect.metric for effect in own)]) + " |",
        "|---|---|---|" + "---|" * len(metrics),
    ]
    rows: dict[tuple[str, int, str], dict[str, str]] = {}
    for effect in own:
        row = rows.setdefault((effect.dataset, effect.steps, effect.expression), {})
        row[effect.metric] = effect.told.partition(" ")[2]
    for (dataset, steps, expression), values in rows.items():
        cells = " | ".join(values.get(metric, "") for metric in metrics)
        lines.append(f"| {dataset} | {steps:,} | `{expression}` | {cells} |")
    return "\n".join(lines)


def _is_of(name: str, expression: str) -> bool:
    """Return whether an expression is a loss by itself, or adds to others one that is never used by itself."""
    parts = [part.partition("(")[0] for part in expression.split(" + ")]
    # A sum says little about its parts, except about one that is only ever added to other losses.
    return name in parts if len(parts) == 1 or not getattr(CARDS.get(name), "alone", True) else False
