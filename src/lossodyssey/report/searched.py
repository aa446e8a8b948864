"""Whether learning rates were searched, what was found, and where the search ended too early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np

from lossodyssey.ranking.caveats import Doubt, listed, span
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.report.evidence import Search
from lossodyssey.report.figures.multiples import Line, multiples
from lossodyssey.report.plates import Names, Plate
from lossodyssey.report.runs import RunSummary

MOST_NAMED = 3
RULE = (
    "The rule: of the rates whose score is within 0.002 of the best one, the smallest is taken; a run that diverged or "
    "failed has no score."
)


def edge_doubt(searches: Sequence[Search]) -> list[Doubt]:
    """Return a doubt that names the losses whose chosen rate lies at the edge of the grid."""
    losses = [*dict.fromkeys(search.loss for search in searches if search.edge)]
    if not losses:
        return []
    return [Doubt(f"best learning rate at the edge of those tried for {listed(losses, MOST_NAMED)}", serious=False)]


def searched(searches: Sequence[Search], runs: Sequence[RunSummary]) -> list[str]:
    """Say for which losses learning rates were searched, on how many validation cases.

    One rate for all losses is a doubt of its own.
    """
    if not searches:
        rates = {run.settings["learning_rate"] for run in runs if "learning_rate" in run.settings}
        return ["The learning rates were given, not searched."] if len(rates) > 1 else []
    tried = span(*_ends(len(search.scores) for search in searches))
    cases = span(*_ends(search.cases for search in searches))
    found = {search.loss for search in searches}
    others = [loss for loss in dict.fromkeys(run.loss for run in runs) if loss not in found]
    some = listed([*found][:1]) if len(found) == 1 else f"{len(found)} {nouns()}"
    of = f"of {some if others else f'each {noun()}'}"
    one = "1 validation case" if cases == "1" else f"{cases} validation cases"
    said = f"The learning rate {of} was chosen among {tried} on {one}, which are neither trained on nor scored"
    rest = f"; {listed(others, MOST_NAMED)} had no search" if others else ""
    return [f"{said}{rest}."]


def _ends(counts: Iterable[int]) -> tuple[int, int]:
    known = [*counts]
    return min(known), max(known)


def warnings(searches: Sequence[Search]) -> list[str]:
    """Say which way to extend the grid of losses whose chosen rate lies at its edge, and which losses got no score."""
    said = []
    for edge, way in (("lowest", "downwards"), ("highest", "upwards")):
        rates: dict[float, dict[str, list[str]]] = {}
        for search in searches:
            if search.edge == edge:
                rates.setdefault(search.chosen, {}).setdefault(search.loss, []).append(_place(search, searches))
        for rate, losses in rates.items():
            named = "; ".join(f"{loss}{_on(places)}" for loss, places in losses.items())
            said.append(
                f"The {edge} rate that was tried, {rate:g}, was chosen for {named}: extend the grid {way}, "
                f"such as with {_beyond(searches, rate, edge):.1g}."
            )
    silent = [search.loss for search in searches if np.isnan([*search.scores.values()]).all()]
    if silent:
        said.append(f"No rate that was tried gave a score for {listed([*dict.fromkeys(silent)])}: try lower ones.")
    return said


def _place(search: Search, searches: Sequence[Search]) -> str:
    """Name the data set and the fold, where there are several."""
    dataset = search.dataset if len({each.dataset for each in searches}) > 1 else ""
    fold = f"fold {search.fold}" if len({each.fold for each in searches}) > 1 else ""
    return ", ".join(filter(None, (dataset, fold)))


def _on(places: Sequence[str]) -> str:
    return f" ({'; '.join(places)})" if any(places) else ""


def _beyond(searches: Sequence[Search], rate: float, edge: str) -> float:
    """Return the rate that continues a grid beyond its edge by the ratio of its last two."""
    grid = next(sorted(search.scores) for search in searches if search.edge == edge and search.chosen == rate)
    return grid[0] ** 2 / grid[1] if edge == "lowest" else grid[-1] ** 2 / grid[-2]


def tuning(searches: Sequence[Search], names: Names) -> Plate | None:
    """Plot the validation score against the learning rate; None where nothing was searched."""
    if not searches:
        return None
    steps = span(*_ends(search.steps for search in searches))
    cases = span(*_ends(search.cases for search in searches))
    caption = (
        f"Mean DSC over the classes of {cases} validation cases after {steps} steps, by learning rate, a line per data "
        "set and the mean over its folds. A full dot: the rate that was chosen. An open square: one that was chosen at "
        f"the edge of those tried, where a rate beyond may be better. {RULE}"
    )
    lines: list[Sequence[object]] = [("loss", "data", "fold", "learning rate", "score", "chosen")]
    for search in searches:
        key = (search.loss, search.dataset, search.fold)
        lines += [(*key, rate, f"{score:.6g}", rate == search.chosen) for rate, score in search.scores.items()]
    panels: dict[str, list[Line]] = {}
    for (loss, dataset), own in _grouped(searches).items():
        panels.setdefault(names.get(loss, loss), []).append(_line(dataset, own))
    ordered = {name: panels[name] for name in [*(n for n in names.values() if n in panels), *panels]}
    figure = multiples(ordered, "learning rate", "validation DSC", logarithmic=True)
    return Plate("Validation score against learning rate", caption, figure, lines)


def _grouped(searches: Sequence[Search]) -> Mapping[tuple[str, str], list[Search]]:
    grouped: dict[tuple[str, str], list[Search]] = {}
    for search in searches:
        grouped.setdefault((search.loss, search.dataset), []).append(search)
    return grouped


def _line(dataset: str, folds: Sequence[Search]) -> Line:
    rates = sorted({rate for search in folds for rate in search.scores})
    scores = [fmean(search.scores.get(rate, np.nan) for search in folds) for rate in rates]
    edges = {search.chosen for search in folds if search.edge}
    chosen = {search.chosen for search in folds} - edges
    return Line(dataset, rates, scores, [rate in chosen for rate in rates], [rate in edges for rate in rates])
