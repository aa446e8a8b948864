"""The answer in words: groups that cannot be told apart, what to choose among them, and when there is no answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.rank import Ranking, Standing
from lossodyssey.table import Row

SMALLEST_SAMPLE = 6
MISSING_LIMIT = 0.2


@dataclass(frozen=True)
class Cost:
    """What training with a loss costs, averaged over its runs."""

    seconds: float
    peak_memory_bytes: float = float("nan")


@dataclass(frozen=True)
class Verdict:
    """What the data allow to say.

    `refusals` are reasons why no loss can be recommended (then `choice` is None); `caveats` limit what a recommendation
    means. `groups` are losses, best first, that the tests cannot separate from the first of their group.
    """

    headline: str
    choice: str | None
    reasons: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    refusals: tuple[str, ...]
    caveats: tuple[str, ...]


def verdict(ranking: Ranking, rows: Iterable[Row], costs: Mapping[str, Cost] | None = None) -> Verdict:
    """Say which loss to use, as far as the overall standing supports it."""
    table = list(rows)
    refused = refusals(ranking, table)
    groups = indistinguishable(ranking.overall)
    if refused:
        headline = "These data do not support a recommendation."
        return Verdict(headline, None, (), groups, refused, caveats(ranking, table))
    choice = _choice(ranking.overall, groups[0])
    reasons = (_evidence(ranking.overall, groups[0]), *_trade_offs(ranking, groups[0], choice, costs or {}))
    return Verdict(_headline(choice, groups), choice, reasons, groups, (), caveats(ranking, table))


def indistinguishable(standing: Standing) -> tuple[tuple[str, ...], ...]:
    """Split the losses, best first, into groups: each holds what Holm cannot separate from its first loss."""
    better = standing.better
    rest = standing.order
    groups = []
    while rest:
        group = [i for i in rest if not better[rest[0], i]]
        groups.append(tuple(standing.cell.losses[i] for i in group))
        rest = [i for i in rest if i not in group]
    return tuple(groups)


def refusals(ranking: Ranking, rows: list[Row]) -> tuple[str, ...]:
    """Reasons, in plain words, why these data cannot say which loss is better."""
    reasons = []
    fewest = min(len(s.cell.cases) for s in ranking.standings)
    if fewest < SMALLEST_SAMPLE:
        reasons.append(
            f"Only {fewest} cases were scored. With fewer than {SMALLEST_SAMPLE} no difference can be significant, "
            "however large it is: evaluate more cases."
        )
    if all(np.ptp(s.cell.values, axis=0).max() == 0 for s in ranking.standings):
        reasons.append("All losses have the same value in every case: there is nothing to choose between.")
    engines = {row.engine for row in rows if row.engine}
    if len(engines) > 1:
        reasons.append(
            f"The losses were trained by different engines ({', '.join(sorted(engines))}): "
            "a difference could come from the engine. Compare losses within one engine."
        )
    lost = _mostly_missing(rows)
    if len(lost) >= len(ranking.losses) - 1:
        reasons.append(f"Most results are missing: more than {MISSING_LIMIT:.0%} of the values of {_list(lost)}.")
    return tuple(reasons)


def caveats(ranking: Ranking, rows: list[Row]) -> tuple[str, ...]:
    """What a reader must keep in mind about any statement from these data."""
    notes = []
    seeds = {loss: {(r.dataset, r.seed) for r in rows if r.loss == loss} for loss in ranking.losses}
    tasks = len({row.dataset for row in rows})
    if any(len(own) < 2 * tasks for own in seeds.values()):
        notes.append(
            "Each loss was trained with one seed, so the effect of the loss and the luck of one training run cannot be "
            "separated. Train the best losses with at least three seeds before you rely on small differences."
        )
    needed = smallest_sample(len(ranking.losses), ranking.alpha)
    cases = min(len(s.cell.cases) for s in ranking.standings)
    if SMALLEST_SAMPLE <= cases < needed:
        notes.append(
            f"With {cases} cases no difference between {len(ranking.losses)} losses can survive the correction for all "
            f"comparisons: evaluate at least {needed} cases, or compare fewer losses."
        )
    lost = _mostly_missing(rows)
    if lost:
        notes.append(f"{_list(lost)}: more than {MISSING_LIMIT:.0%} of the values are missing.")
    return tuple(notes)


def smallest_sample(losses: int, alpha: float) -> int:
    """Fewest cases with which the smallest possible p-value, 2**-cases, survives Holm's correction of all pairs."""
    return math.floor(math.log2(losses * (losses - 1) / alpha)) + 1


def _mostly_missing(rows: list[Row]) -> list[str]:
    total: dict[str, list[bool]] = {}
    for row in rows:
        total.setdefault(row.loss, []).append(row.status in ("missing", "diverged", "failed"))
    return [loss for loss, lost in total.items() if np.mean(lost) > MISSING_LIMIT]


def _choice(standing: Standing, group: tuple[str, ...]) -> str:
    """Pick the highest-ranked loss of the group among those with the fewest values lost."""
    filled = dict(zip(standing.cell.losses, standing.cell.filled, strict=True))
    return min(group, key=lambda loss: (filled[loss], group.index(loss)))


def _headline(choice: str, groups: tuple[tuple[str, ...], ...]) -> str:
    first = groups[0]
    if len(groups) == 1:
        return f"No loss is clearly better than the others. {choice} is as good a choice as any."
    if len(first) == 1:
        return f"Use {choice}. It is better than every other loss tested."
    return f"Use {choice}. {_list([loss for loss in first if loss != choice])} cannot be told apart from the best."


def _evidence(standing: Standing, group: tuple[str, ...]) -> str:
    cell = standing.cell
    rest = len(cell.losses) - len(group)
    tested = f"{len(cell.cases)} cases, signed-rank tests with Holm's correction at {standing.alpha:g}"
    if not rest:
        return f"The tests separate no loss from the leader ({tested})."
    return f"The leader is significantly better than {rest} of {len(cell.losses) - 1} other losses ({tested})."


def _trade_offs(ranking: Ranking, group: tuple[str, ...], choice: str, costs: Mapping[str, Cost]) -> list[str]:
    """Say what else in the top group is cheaper to train."""
    priced = {loss: costs[loss].seconds for loss in group if loss in costs}
    cheapest = min(priced, key=lambda loss: priced[loss], default=choice)
    if choice not in priced or priced[cheapest] > 0.9 * priced[choice]:
        return []
    saved = 1 - priced[cheapest] / priced[choice]
    return [f"{cheapest} trains {saved:.0%} faster and cannot be told apart from the best: take it where time matters."]


def _list(losses: list[str]) -> str:
    return losses[0] if len(losses) == 1 else f"{', '.join(losses[:-1])} and {losses[-1]}"
