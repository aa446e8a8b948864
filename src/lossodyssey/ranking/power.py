"""How small a difference a study can show, and how many cases and trainings a wanted one needs.

The rule is that of the statements themselves (`limits`, `pairs`): a difference is shown where it exceeds the half-width
at `alpha` / (losses (losses - 1)), the first step of Holm over all ordered pairs. The half-width rests on two mean
squares that a study must estimate, so it is drawn from their distributions, together with the error of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri

from lossodyssey.ranking.caveats import listed, once_on, smallest_sample, span
from lossodyssey.ranking.cells import SMALLEST_SAMPLE, Cell
from lossodyssey.ranking.limits import Part, half_width
from lossodyssey.ranking.nouns import noun
from lossodyssey.ranking.pairs import Pairs
from lossodyssey.ranking.rank import Ranking, Standing
from lossodyssey.ranking.trainings import training_noise

Floats = NDArray[np.float64]

DRAWS = 8192
MOST_CASES = 100_000
SMALLEST = 1e-12
"""Differences below it are rounding: the losses differ by the same amount in every case."""

MEAN = "mean of "
"""How the name of several metrics together begins."""


@dataclass(frozen=True)
class Deviations:
    """Standard deviations that decide how small a difference can be seen, in the unit of one metric.

    `cases` is that of the paired difference of two losses over cases, each loss averaged over its seeds. `runs` is the
    run-to-run deviation of a loss's mean over cases, the square root of the mean square of loss x seed; None is
    unknown. `scores` is the part of one score that neither loss and case nor loss and seed explain; with it, `cases`
    and `runs` as a pilot of `pilot_seeds` and `pilot_cases` measured them are carried over to other sizes. Each of
    `folds` networks per loss and seed scores its own cases, and `runs` is then that of one fold's mean.

    Raises:
        ValueError: a deviation that is negative or not finite.
    """

    cases: float
    runs: float | None = None
    scores: float = 0.0
    pilot_seeds: int = 1
    pilot_cases: int = 1
    folds: int = 1

    def __post_init__(self) -> None:
        for name, value in (("cases", self.cases), ("runs", self.runs), ("scores", self.scores)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} {value} is not a standard deviation; expected a number of at least 0")

    def at(self, cases: int, seeds: int) -> Deviations:
        """Carry the deviations over to a study of other sizes."""
        # Each mean square holds the variance of single scores, divided by the number of seeds in one and of cases in
        # the other. The pilot's share of it is taken off, the study's is put on.
        square = self.scores**2
        wide = self.cases**2 + 2 * square * (1 / seeds - 1 / self.pilot_seeds)

        runs = None
        if self.runs is not None:
            # A pilot of few cases may measure less than its own share of noise; a variance is at least 0.
            runs = math.sqrt(max(self.runs**2 + square * (1 / cases - 1 / self.pilot_cases), 0))
        return Deviations(math.sqrt(max(wide, 0)), runs, self.scores, seeds, cases, self.folds)


def detectable(
    deviations: Deviations, *, cases: int, seeds: int, losses: int, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest true difference of two losses that a study of this size shows with probability `power`.

    With one seed, or where the run-to-run deviation is unknown, the statement is about these trained networks on new
    cases, and training noise is left out.

    Raises:
        ValueError: a size, level or probability out of range.
    """
    check(cases=cases, seeds=seeds, losses=losses, alpha=alpha, power=power)
    own = deviations.at(cases, seeds)
    over_cases = Part(np.array(own.cases**2 / cases), np.array(cases - 1.0))
    if own.runs is None or seeds == 1:
        return shown([over_cases], losses, alpha, power)
    runs = seeds * own.folds
    # Two losses, each with the variance of a run over its runs; df as in `trainings`: (losses - 1)(seeds - 1) per fold.
    over_runs = Part(np.array(2 * own.runs**2 / runs), np.array((losses - 1.0) * (seeds - 1) * own.folds))
    return shown([over_cases, over_runs], losses, alpha, power)


def needed(
    deviations: Deviations, difference: float, *, seeds: int, losses: int, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return the fewest cases that show a true `difference` with probability `power`; None where no number does.

    More than 100,000 cases count as no number.

    Raises:
        ValueError: a size, level, probability or difference out of range.
    """
    check(seeds=seeds, losses=losses, alpha=alpha, power=power, difference=difference)

    def enough(cases: int) -> bool:
        return detectable(deviations, cases=cases, seeds=seeds, losses=losses, alpha=alpha, power=power) <= difference

    # Cases do not reduce the training noise: a number above 100,000 would hardly help, and no study has them.
    if not enough(MOST_CASES):
        return None

    # Doubling, then bisection: `enough` is monotone in the number of cases.
    low, high = SMALLEST_SAMPLE - 1, SMALLEST_SAMPLE
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def check(**values: float) -> None:
    """Check sizes, levels and probabilities by their names.

    Raises:
        ValueError: nothing can be planned with one of them.
    """
    least = {"cases": SMALLEST_SAMPLE, "seeds": 1, "losses": 2}
    for name, value in values.items():
        if name in least and value < least[name]:
            raise ValueError(f"{name} {value} is too few; expected at least {least[name]}")
        if name in ("alpha", "power") and not 0 < value < 1:
            raise ValueError(f"{name} {value} is not between 0 and 1")
        if name == "difference" and not (math.isfinite(value) and value > 0):
            raise ValueError(f"difference {value} cannot be planned for; expected a number above 0")


def shown(parts: list[Part], losses: int, alpha: float, power: float) -> float:
    """Return the difference that exceeds its half-width with probability `power`, both mean squares being estimated.

    The draws are fixed, so that the same question has the same answer. NaN where a part is unknown.
    """
    if any(part.df <= 0 or not np.isfinite(part.variance) for part in parts):
        return math.nan

    level = alpha / (losses * (losses - 1))
    uniform = _uniform(len(parts) + 1)
    drawn = [
        Part(part.variance * _mean_squares(float(part.df), own), part.df)
        for part, own in zip(parts, uniform[1:], strict=True)
    ]
    # Shown where true difference + error > half-width, so the wanted quantile is that of half-width - error.
    error = math.sqrt(sum(float(part.variance) for part in parts)) * ndtri(uniform[0])
    return max(float(np.quantile(half_width(level, drawn) - error, power)), 0.0)


@lru_cache(maxsize=8)
def _uniform(dimensions: int) -> Floats:
    """Return (dimensions, draws) numbers that fill (0, 1) evenly, in an order of their own in each dimension."""
    # A Latin hypercube (McKay et al. 1979) has far less noise than independent draws.
    rng = np.random.default_rng(0)
    return np.stack([(rng.permutation(DRAWS) + 0.5) / DRAWS for _ in range(dimensions)])


def _mean_squares(df: float, uniform: Floats) -> Floats:
    """Return draws of a mean square with expectation 1: chi-square over its degrees of freedom."""
    return np.asarray(gammaincinv(df / 2, uniform) / (df / 2)) if np.isfinite(df) else np.ones_like(uniform)


@dataclass(frozen=True)
class Pilot:
    """Deviations of one task and metric as a table gives them, with their degrees of freedom.

    `cases_df` is that of each pair's variance over cases; `runs_df` is 0 where no loss has two seeds.
    """

    task: str
    metric: str
    deviations: Deviations
    losses: int
    cases_df: int
    runs_df: float


def pilots(ranking: Ranking) -> list[Pilot]:
    """Estimate the deviations of every task and headline metric of a ranked table, then of the metrics' mean.

    The mean of several metrics is that of the overall standing; it is left out where there are several tasks, or
    metrics of different kinds.
    """
    own = [s for s in ranking.standings if s.cell.metric in ranking.headline]
    found = [_pilot(s.cell, s.cell.metric, s.pairs, [s.cell]) for s in own]
    shares = all(s.cell.measure.is_share for s in own)
    if len(ranking.tasks) == 1 and len(own) > 1 and shares and len({s.cell.runs for s in own}) == 1:
        mean = replace(own[0].cell, by_run=np.mean([s.cell.by_run for s in own], axis=0))
        found.append(_pilot(mean, f"{MEAN}{listed(ranking.headline)}", ranking.overall.pairs, [s.cell for s in own]))
    return found


def _pilot(cell: Cell, metric: str, pairs: Pairs, measured: Sequence[Cell]) -> Pilot:
    """Average the variances of all pairs; take the pooled mean square of loss x seed of the mean of all metrics."""
    # Variances are averaged, not deviations: a plan adds up squares.
    count, noise = len(cell.cases), training_noise(measured)
    upper = np.triu_indices(len(pairs.difference), 1)
    return Pilot(
        task=cell.task,
        metric=metric,
        deviations=Deviations(
            cases=math.sqrt(pairs.cases.variance[upper].mean() * count),
            runs=math.sqrt(noise.interaction.mean()) if noise.df > 0 else None,
            scores=_scores(cell.by_run),
            pilot_seeds=int(np.median(cell.seeds)),
            pilot_cases=count,
            folds=len({fold for fold, _ in cell.runs}),
        ),
        losses=len(pairs.difference),
        cases_df=count - 1,
        runs_df=noise.df,
    )


def _scores(by_run: Floats) -> float:
    """Return the deviation of single scores of (losses, runs, cases) beyond all sums of two; 0 if it cannot be told."""
    losses, runs, cases = by_run.shape
    if min(runs, cases) < 2 or not np.isfinite(by_run).all():
        return 0.0
    # Centred along each axis, only the three-way interaction is left: the error of single scores.
    rest = by_run
    for axis in range(3):
        rest = rest - rest.mean(axis=axis, keepdims=True)
    return math.sqrt(np.square(rest).sum() / ((losses - 1) * (runs - 1) * (cases - 1)))


def power_line(ranking: Ranking, power: float = 0.8) -> str:
    """Say how small a difference the ranked study could have shown, per headline metric and over all of them."""
    own = [s for s in ranking.standings if s.cell.metric in ranking.headline]
    found = {metric: [_of(s, power) for s in own if s.cell.metric == metric] for metric in ranking.headline}
    counts = [len(s.cell.cases) for s in own]
    cases = f"these {span(min(counts), max(counts))} cases" if max(counts) > 1 else "one case"
    cases += " per task" if len(ranking.tasks) > 1 else ""

    if min(counts) < SMALLEST_SAMPLE or any(not value > SMALLEST for values in found.values() for value in values):
        return f"With {cases} this study cannot tell how small a difference it could have shown."
    retrained = ranking.overall.retrained
    if not retrained and len(ranking.overall.cell.cases) < smallest_sample(len(ranking.losses), ranking.alpha):
        return f"With {cases} this study could not have shown any difference between these trained networks."

    single = " in a single task" if len(ranking.tasks) > 1 else ""
    widest = {s.cell.metric: float(np.ptp(s.cell.measure.range)) for s in own}
    amounts = {f"{metric}{single}": (values, widest[metric]) for metric, values in found.items()}
    if len(own) > 1:
        bounded = ranking.overall.pairs.unit == " and ".join(ranking.headline)
        amounts[_unit(ranking)] = [_of(ranking.overall, power)], max(widest.values()) if bounded else math.inf

    trained = f"{span(*ranking.seeds)} seeds" if retrained else f"one training per {noun()}{once_on(ranking)}"
    about = "" if retrained else " between these trained networks"
    shown = f"{_shown(amounts)}{about} with {100 * power:g} % probability."
    return f"With {cases} and {trained} this study {shown}"


def _shown(amounts: Mapping[str, tuple[list[float], float]]) -> str:
    """Name the differences that could be shown; one that exceeds the range of its metric could not."""
    found = [
        f"{low:.2g} {what} or more" if max(values) >= widest else f"{_ends(values)} {what}"
        for what, (values, widest) in amounts.items()
        if (low := min(values)) < widest
    ]
    never = [what for what, (values, widest) in amounts.items() if min(values) >= widest]
    if not found:
        return f"could not have shown any difference of {listed(never)}"
    return f"could have shown a difference of {listed(found)}{f', and none of {listed(never)}' if never else ''}"


def _ends(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"


def _of(standing: Standing, power: float) -> float:
    """Return the difference that a standing's own limits can show, for the median variance of its pairs.

    Pairs with a loss that trains unsteadily are left out where there are others.
    """
    upper = np.triu_indices(len(standing.cell.losses), 1)
    steady = standing.pairs.other.variance[upper] == 0
    kept = steady if steady.any() else ~steady
    parts = [
        Part(np.array(np.median(part.variance[upper][kept])), np.array(np.median(part.df[upper][kept])))
        for part in standing.pairs.parts
    ]
    return shown(parts, len(standing.cell.losses), standing.alpha, power)


def _unit(ranking: Ranking) -> str:
    """Name the unit of the overall difference."""
    unit = ranking.overall.pairs.unit
    over = "over all tasks" if len(ranking.tasks) > 1 else "in their mean"
    return over if unit == " and ".join(ranking.headline) else f"{unit} {over}"
