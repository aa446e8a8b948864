"""Validation scores along the trainings: whether they still rise, and whether half of the training tells the order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.caveats import listed
from lossodyssey.ranking.nouns import nouns
from lossodyssey.ranking.rank import Ranking, rank
from lossodyssey.report.figures.multiples import Line, multiples
from lossodyssey.report.plates import Names, Plate
from lossodyssey.report.runs import RunSummary
from lossodyssey.table import Row

RISING = 0.005
FEWEST_CASES = 3
RULE = (
    f"A score still rises where it grew in the last quarter of the training by more than {RISING} and by more than two "
    f"standard errors over the cases, of which there must be {FEWEST_CASES}. A learning rate that falls to zero "
    "flattens the end of every line by itself: a flat end does not show that a longer training would be no better."
)
ALIKE = 0.8


@dataclass(frozen=True)
class Order:
    """The order of the losses at an earlier point beside that at the end: Kendall's tau-b, and who led."""

    tau: float
    before: str
    after: str

    def told(self) -> str:
        """Say how far the two orders agree."""
        how = "the same order as" if self.tau == 1 else "nearly the same order as"
        how = how if self.tau >= ALIKE else "another order than"
        lead = f"{self.before} leads both times" if self.before == self.after else f"{self.before} leads in place of"
        lead += "" if self.before == self.after else f" {self.after}"
        return f"puts the {nouns()} in {how} the whole one (Kendall's tau {self.tau:.2f}; {lead})"


def scores(runs: Iterable[RunSummary]) -> dict[tuple[str, str], dict[int, float]]:
    """Return the score by step of each loss on each data set: the mean over cases, then classes, then runs."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for run in runs:
        by_step: dict[int, dict[str, list[float]]] = {}
        for look in run.watched:
            if not np.isnan(look.value):
                by_step.setdefault(look.step, {}).setdefault(look.class_name, []).append(look.value)
        for step, classes in by_step.items():
            own = found.setdefault((run.loss, run.dataset), {})
            own.setdefault(step, []).append(fmean(map(fmean, classes.values())))
    return {key: {step: fmean(values) for step, values in sorted(own.items())} for key, own in found.items()}


def watched(runs: Iterable[RunSummary]) -> set[str]:
    """Return the losses of which enough is seen to tell whether their score still rises."""
    return {loss for loss, gains in _gains(runs).items() if len(gains) >= FEWEST_CASES}


def rising(runs: Sequence[RunSummary]) -> list[str]:
    """Return the losses whose validation score still rises at the end by more than noise."""
    return [loss for loss, gains in _gains(runs).items() if len(gains) >= FEWEST_CASES and _rises(gains)]


def _rises(gains: Sequence[float]) -> bool:
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    return bool(np.mean(gains) > max(2 * error, RISING))


def _gains(runs: Iterable[RunSummary]) -> dict[str, list[float]]:
    """Return, for each loss, the growth of each case's score in the last quarter: the mean over classes and runs."""
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    for run in runs:
        steps = sorted({look.step for look in run.watched})[-2:]
        values = {(look.step, look.case, look.class_name): look.value for look in run.watched}
        for step, case, name in values:
            if len(steps) == 2 and step == steps[1]:
                gain = values[step, case, name] - values.get((steps[0], case, name), np.nan)
                if not np.isnan(gain):
                    found.setdefault(run.loss, {}).setdefault((run.dataset, case), []).append(gain)
    return {loss: [fmean(own) for own in cases.values()] for loss, cases in found.items()}


def half(runs: Sequence[RunSummary]) -> Order | None:
    """Compare the order of the losses half-way through the training with that at its end; None where it is unknown."""
    known = scores(runs)
    datasets = {dataset for _, dataset in known}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for (loss, _), own in known.items():
        middle, last = min(own, key=lambda step: abs(2 * step - max(own))), max(own)
        if middle < last:
            pairs.setdefault(loss, []).append((own[middle], own[last]))
    # A loss that lacks a data set would be compared on other cases.
    whole = {loss: np.mean(own, axis=0) for loss, own in pairs.items() if len(own) == len(datasets)}
    return order(list(whole), *np.array(list(whole.values())).T) if len(whole) > 1 else None


def order(losses: Sequence[str], before: Sequence[float], after: Sequence[float]) -> Order | None:
    """Compare two rows of scores, larger ones better; None where one of them ties all losses."""
    tau = tau_b(np.array([before, after]))[0, 1]
    return None if np.isnan(tau) else Order(float(tau), losses[int(np.argmax(before))], losses[int(np.argmax(after))])


def orders(runs: Sequence[RunSummary], budgets: Mapping[int, Sequence[Row]], ranking: Ranking) -> list[str]:
    """Say whether half of the training, and every shorter budget, gives the order of the losses at the end."""
    said = []
    if found := half(runs):
        said.append(f"On the validation cases, half of the training {found.told()}.")
    for steps, rows in budgets.items():
        shorter = _ranked(rows, ranking)
        if shorter and (found := order(ranking.losses, shorter, [*ranking.overall.score])):
            said.append(f"In the tables of cases, a training of {steps:,} steps {found.told()}.")
    return said


def _ranked(rows: Sequence[Row], ranking: Ranking) -> list[float]:
    """Return the scores in a table of a shorter budget, nothing where it does not hold all losses."""
    directions = {s.cell.metric: s.cell.measure.higher_is_better for s in ranking.standings}
    own = [row for row in rows if row.loss in ranking.losses]
    try:
        found = rank(
            own, metrics=ranking.headline, method=ranking.method, policy=ranking.policy, higher_is_better=directions
        )
    except ValueError:
        return []
    if set(found.losses) != set(ranking.losses):
        return []
    return [float(found.overall.score[found.losses.index(loss)]) for loss in ranking.losses]


def warning(runs: Sequence[RunSummary]) -> list[str]:
    """Name the losses whose validation score still rises, all of them."""
    losses = rising(runs)
    if not losses:
        return []
    return [f"The validation score still rises at the end of the training with {listed(losses)}: train longer."]


def progress(runs: Sequence[RunSummary], names: Names) -> Plate | None:
    """Plot the validation scores along the training; None where no run was watched."""
    known, still = scores(runs), set(rising(runs))
    if not known:
        return None
    caption = (
        "Mean DSC over the classes of the validation cases after each quarter of the training, a line per data set and "
        f"the mean over seeds and folds. An open square at the end: the score still rises. {RULE}"
    )
    lines: list[Sequence[object]] = [("loss", "data", "step", "score")]
    panels: dict[str, list[Line]] = {}
    for (loss, dataset), own in known.items():
        lines += [(loss, dataset, step, f"{score:.6g}") for step, score in own.items()]
        ends = [loss in still and step == max(own) for step in own]
        panels.setdefault(names.get(loss, loss), []).append(
            Line(dataset, [*own], [*own.values()], [False] * len(own), ends)
        )
    ordered = {name: panels[name] for name in [*(n for n in names.values() if n in panels), *panels]}
    return Plate("Validation score along the training", caption, multiples(ordered, "step", "validation DSC"), lines)
