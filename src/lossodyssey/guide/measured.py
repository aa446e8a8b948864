"""The effects that the project's own odyssey measured: a loss against a common reference, data set by data set."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILE = "measured.csv"


@dataclass(frozen=True)
class Effect:
    """The mean of a metric of one loss minus that of `reference`, with 95 % limits for both trained again.

    Positive is better, whatever the metric. `loss` is the name in the tables, `expression` the loss itself.
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

    @property
    def told(self) -> str:
        """The difference in words, such as `DSC -0.004 (-0.009 to 0.001)`."""
        return f"{self.metric} {self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


@cache
def effects() -> tuple[Effect, ...]:
    """Read all effects that were measured; none where the odyssey has not been written."""
    file = files("lossodyssey.guide") / FILE
    if not file.is_file():
        return ()
    lines = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return tuple(_effect(line) for line in lines)


def _effect(line: dict[str, str]) -> Effect:
    texts = {name: line[name] for name in ("loss", "expression", "reference", "dataset", "metric")}
    numbers = {name: float(line[name]) for name in ("difference", "low", "high")}
    return Effect(**texts, **numbers, cases=int(line["cases"]), seeds=int(line["seeds"]))  # type: ignore[arg-type]


def measured(name: str, found: Iterable[Effect] | None = None) -> str:
    """Return what was measured of the loss of this name, in its forms, as a section; nothing where nothing was."""
    own = [effect for effect in (effects() if found is None else found) if _is_of(name, effect.expression)]
    if not own:
        return ""
    datasets = sorted({effect.dataset for effect in own})
    lines = [
        "## Measured",
        "",
        f"On {len(datasets)} data set{'s' * (len(datasets) != 1)}, against `{own[0].reference}`, both trained again: "
        "mean difference with 95 % limits, positive where this loss is better (from the page on the odyssey).",
        "",
        "| data set | as | " + " | ".join(metrics := [*dict.fromkeys(effect.metric for effect in own)]) + " |",
        "|---|---|" + "---|" * len(metrics),
    ]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for effect in own:
        rows.setdefault((effect.dataset, effect.expression), {})[effect.metric] = effect.told.partition(" ")[2]
    for (dataset, expression), values in rows.items():
        lines.append(f"| {dataset} | `{expression}` | {' | '.join(values.get(metric, '') for metric in metrics)} |")
    return "\n".join(lines)


def _is_of(name: str, expression: str) -> bool:
    """Return whether an expression is a loss by itself; sums say little of their parts."""
    return expression.partition("(")[0] == name and " + " not in expression
