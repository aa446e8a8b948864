"""Why the training itself makes a comparison doubtful, read from the records and curves of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lossodyssey.ranking.caveats import Doubt, listed
from lossodyssey.ranking.nouns import nouns
from lossodyssey.ranking.rank import Ranking
from lossodyssey.report.along import orders, rising, watched
from lossodyssey.report.evidence import Evidence
from lossodyssey.report.runs import Curve, RunSummary
from lossodyssey.report.searched import edge_doubt, searched

USUAL_LENGTHS = {"steps": 1000, "epochs": 1000}
"""Lengths that the engines take by default: a comparison of much shorter trainings is one of unfinished trainings."""

FEW = 0.5
FALLING = 0.1
SHORTEST_CURVE = 20
MOST_NAMED = 3


def doubts(runs: Sequence[RunSummary], evidence: Evidence | None = None) -> list[Doubt]:
    """Return the doubts about a set of runs, as clauses for the headline; none where nothing is known of them.

    Validation scores tell more than training losses, and the result of a search more than the rates themselves: where
    they are known, only they are used.
    """
    known = evidence or Evidence()
    finished = [run for run in known.of_table(runs) if run.status == "finished"]
    losses = {run.loss for run in finished}
    searches = [search for search in known.searches if search.loss in losses]
    rates = edge_doubt(searches) if searches else _one_rate(finished)
    return [*_short(finished), *_unfinished(finished), *rates]


def trained(ranking: Ranking, runs: Sequence[RunSummary], evidence: Evidence) -> list[str]:
    """Say how far the answer depends on rate and length of the trainings: searched or not, and the order half-way."""
    own = evidence.of_table(runs)
    finished = [run for run in own if run.status == "finished" and run.loss in ranking.losses]
    searches = [search for search in evidence.searches if search.loss in ranking.losses]
    return [*searched(searches, finished), *orders(finished, evidence.shorter(own), ranking)]


def _short(runs: Sequence[RunSummary]) -> list[Doubt]:
    for name, usual in USUAL_LENGTHS.items():
        lengths = sorted({int(run.settings[name]) for run in runs if name in run.settings})
        # The shortest run speaks for all: it is compared with the others as if it were done.
        if lengths and lengths[0] < FEW * usual:
            return [Doubt(f"{lengths[0]:,} of the usual {usual:,} {name}", serious=True)]
    return []


def _unfinished(runs: Sequence[RunSummary]) -> list[Doubt]:
    """Name the losses whose validation score still rises; of losses without such scores, whose training loss falls."""
    seen, losses = watched(runs), rising(runs)
    rest = [run for run in runs if run.loss not in seen]
    if not losses:
        return _falling(rest, every=not seen)
    named = listed(losses, MOST_NAMED)
    every = len(losses) == len({run.loss for run in runs})
    text = f"validation score still rising at the end for {named}"
    return [Doubt(text, serious=every), *_falling(rest, every=False)]


def _falling(runs: Sequence[RunSummary], every: bool) -> list[Doubt]:
    """Name the losses whose training loss still fell in the last quarter of most of their runs.

    `every` says whether these are all losses of the comparison.
    """
    by_loss: dict[str, list[bool]] = {}
    for run in runs:
        if len(run.curve.losses) >= SHORTEST_CURVE:
            by_loss.setdefault(run.loss, []).append(still_falling(run.curve))
    losses = [loss for loss, falls in by_loss.items() if np.mean(falls) > 0.5]
    if not losses:
        return []
    named = listed(losses, MOST_NAMED)
    # Serious only where all losses still learn: else the finished ones hold as they are.
    serious = every and len(losses) == len(by_loss)
    return [Doubt(f"training loss still falling at the end for {named}", serious)]


def still_falling(curve: Curve) -> bool:
    """Return whether the last quarter of a curve lies below the quarter before it by more than chance.

    The difference must exceed two standard errors and a tenth of the loss itself: a rate that goes down to zero gives
    less by itself.
    """
    # Means of quarters, since a single step of a training loss is mostly noise.
    before, last = np.array_split(np.asarray(curve.losses), 4)[2:]
    drop = before.mean() - last.mean()
    error = np.sqrt(before.var(ddof=1) / len(before) + last.var(ddof=1) / len(last))
    return bool(drop > 2 * error and drop > FALLING * abs(last.mean()))


def _one_rate(runs: Sequence[RunSummary]) -> list[Doubt]:
    rates = {float(run.settings["learning_rate"]) for run in runs if _has_rate(run.settings)}
    # A shared rate favours the losses whose gradients happen to have its scale.
    if len(rates) != 1 or len({run.loss for run in runs}) < 2:
        return []
    return [Doubt(f"one learning rate, {rates.pop():g}, for all {nouns()}", serious=False)]


def _has_rate(settings: Mapping[str, object]) -> bool:
    return isinstance(settings.get("learning_rate"), int | float)
