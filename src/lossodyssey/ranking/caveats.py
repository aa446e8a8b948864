"""Limits of an answer: reasons to give none, doubts about the training, and caveats of every statement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.cells import SMALLEST_SAMPLE
from lossodyssey.ranking.cube import LOST
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.ranking.rank import Ranking
from lossodyssey.table import Row
from lossodyssey.table.row import NOT_ANNOTATED

MISSING_LIMIT = 0.2
LOW_SHARE = 0.5
FEW_DEGREES = 4


@dataclass(frozen=True)
class Doubt:
    """Why the training itself makes the comparison doubtful, as a clause; a serious one forbids a recommendation."""

    text: str
    serious: bool


def refusals(ranking: Ranking, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the reasons, in plain words, why these data cannot say which loss is better."""
    reasons = []
    fewest = min(len(s.cell.cases) for s in ranking.standings)
    if fewest < SMALLEST_SAMPLE:
        scored = ("case was" if fewest == 1 else "cases were") + (
            " scored" if len(ranking.tasks) == 1 else " scored in a task"
        )
        reasons.append(
            f"Only {fewest} {scored}. With fewer than {SMALLEST_SAMPLE} the tests cannot support a statement, "
            "however large the differences are: evaluate more cases."
        )

    # A real comparison never ties everywhere: most likely one prediction was scored under several names.
    if all(np.ptp(s.cell.values, axis=0).max() == 0 for s in ranking.standings):
        reasons.append(f"All {nouns()} have the same value in every case: there is nothing to choose between.")

    engines = {row.engine for row in rows if row.engine}
    if len(engines) > 1:
        reasons.append(
            f"The {nouns()} were trained by different engines ({', '.join(sorted(engines))}): "
            f"a difference could come from the engine. Compare {nouns()} within one engine."
        )

    # Where at most one loss is whole, the policy for missing values would decide, not the losses.
    lost = mostly_missing(ranking, rows)
    if len(lost) >= len(ranking.losses) - 1:
        reasons.append(f"Most results are missing: more than {MISSING_LIMIT:.0%} of the values of {listed(lost)}.")
    return tuple(reasons)


def low_scores(ranking: Ranking) -> list[Doubt]:
    """Return a doubt for every task and share in which even the best loss finds less than half of the object."""
    shares = [s.cell for s in ranking.standings if s.cell.metric in ranking.headline and s.cell.measure.is_share]
    return [
        Doubt(f"the best mean {cell.metric} on {cell.task} is {cell.values.mean(axis=1).max():.2f}", serious=True)
        for cell in shares
        if cell.values.mean(axis=1).max() < LOW_SHARE
    ]


def caveats(ranking: Ranking, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the caveats that hold for any statement from these data."""
    seeds = [*_one_seed(ranking, rows), *_once_somewhere(ranking)]
    return tuple([*seeds, *_few_degrees(ranking), *_few_cases(ranking, rows), *_missing(ranking, rows)])


def smallest_sample(losses: int, alpha: float) -> int:
    """Return the fewest cases with which the smallest possible p-value, 2**-cases, survives Holm's correction."""
    # 2**-n < alpha / (L (L - 1)), the first step of Holm over all ordered pairs.
    return math.floor(math.log2(losses * (losses - 1) / alpha)) + 1


def mostly_missing(ranking: Ranking, rows: Iterable[Row]) -> list[str]:
    """Return the losses of which too many values are missing, in rows that say so or for want of a row."""
    absent = np.sum([standing.cell.absent for standing in ranking.standings], axis=0)
    total = {loss: [True] * int(rowless) for loss, rowless in zip(ranking.losses, absent, strict=True)}
    for row in rows:
        if row.loss in total and row.status != NOT_ANNOTATED:
            total[row.loss].append(row.status in LOST)
    return [loss for loss, lost in total.items() if np.mean(lost) > MISSING_LIMIT]


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Write names as a list in words; of more than `most`, the first three and how many more there are."""
    if most is not None and len(names) > most:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def span(low: int, high: int) -> str:
    """Write a count, or the smallest and the largest of several."""
    return str(low) if low == high else f"{low} to {high}"


def once_on(ranking: Ranking) -> str:
    """Name the tasks in which each loss was trained once, where there are others: " on A and B"; else nothing."""
    standings = [s for s in ranking.standings if s.cell.metric in ranking.headline]
    once = list(dict.fromkeys(s.cell.task for s in standings if not s.retrained))
    return f" on {listed(once)}" if any(s.retrained for s in standings) and once else ""


def _one_seed(ranking: Ranking, rows: Iterable[Row]) -> list[str]:
    seeds: dict[str, set[int]] = {}
    for row in rows:
        seeds.setdefault(row.loss, set()).add(row.seed)
    once = [loss for loss in ranking.losses if len(seeds.get(loss, ())) < 2]
    if not once:
        return []
    return [
        f"{f'Each {noun()}' if len(once) == len(ranking.losses) else listed(once)} was trained with one seed, so the "
        f"effect of the {noun()} and the luck of one training run cannot be separated. Train the best {nouns()} with "
        "at least three seeds before you rely on small differences."
    ]


def _once_somewhere(ranking: Ranking) -> list[str]:
    where = once_on(ranking)
    if not where:
        return []
    return [
        f"The {nouns()} were trained with one seed{where}, so the overall answer is about these trained networks "
        f"alone. What the other tasks show of {nouns()} trained again stands in the pairs."
    ]


def _few_degrees(ranking: Ranking) -> list[str]:
    """Say where the training noise is known so badly that hardly any difference can be shown."""
    if not ranking.overall.retrained:
        return []
    # Infinite on the diagonal, where a loss meets itself.
    known = ranking.overall.pairs.training.df
    df = float(known[np.isfinite(known)].max())
    if df >= FEW_DEGREES:
        return []
    return [
        f"The training noise is estimated from few trainings ({df:.0f} degree{'s' if df >= 1.5 else ''} of freedom: "
        f"({nouns()} - 1) times (seeds - 1)), so a difference must be many times larger than this noise to be shown: "
        "add seeds."
    ]


def _few_cases(ranking: Ranking, rows: Iterable[Row]) -> list[str]:
    # Below SMALLEST_SAMPLE a refusal says so already.
    needed = smallest_sample(len(ranking.losses), ranking.alpha)
    cases = len(ranking.overall.cell.cases)
    if not SMALLEST_SAMPLE <= cases < needed:
        return []
    units = "patients" if len({(row.dataset, row.case) for row in rows}) > cases else "cases"
    return [
        f"With {cases} {units} no difference between {len(ranking.losses)} trained networks, however large, can "
        f"survive the correction for all comparisons: evaluate at least {needed} {units}, or compare fewer {nouns()}."
    ]


def _missing(ranking: Ranking, rows: Iterable[Row]) -> list[str]:
    """Name the losses of which much is missing, unless they are the reason for a refusal."""
    lost = mostly_missing(ranking, rows)
    if not 0 < len(lost) < len(ranking.losses) - 1:
        return []
    return [f"{listed(lost)}: more than {MISSING_LIMIT:.0%} of the values are missing."]
