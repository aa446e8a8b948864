"""The answer in words: groups that cannot be told apart, what to choose among them, and when there is no answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.rank import Ranking, Standing
from lossodyssey.table import Row

SMALLEST_SAMPLE = 6
MISSING_LIMIT = 0.2
MOST_NAMED = 2


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


def verdict(
    ranking: Ranking,
    rows: Iterable[Row],
    costs: Mapping[str, Cost] | None = None,
    differences: Sequence[Effects] = (),
) -> Verdict:
    """Say which loss to use, as far as the overall standing supports it.

    `costs` by loss and `differences` to the leader (see `effects`) add what is cheaper or as good in practice.
    """
    table = list(rows)
    refused = refusals(ranking, table)
    groups = indistinguishable(ranking.overall)
    if refused:
        headline = "These data do not support a recommendation."
        return Verdict(headline, None, (), groups, refused, caveats(ranking, table))
    choice = _choice(ranking.overall, groups[0])
    reasons = [_evidence(ranking.overall, groups[0]), *_same_group(groups[0], choice)]
    reasons += [*_close(ranking, groups[0], differences), *_cheaper(groups[0], choice, costs or {})]
    reasons += _steadier(ranking, groups[0], choice)
    return Verdict(_headline(choice, groups), choice, tuple(reasons), groups, (), caveats(ranking, table))


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
            f"Only {fewest} cases were scored. With fewer than {SMALLEST_SAMPLE} the tests cannot support a statement, "
            "however large the differences are: evaluate more cases."
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
    once = [loss for loss in ranking.losses if len({row.seed for row in rows if row.loss == loss}) < 2]
    if once:
        notes.append(
            f"{'Each loss' if len(once) == len(ranking.losses) else _list(once)} was trained with one seed, so the "
            "effect of the loss and the luck of one training run cannot be separated. Train the best losses with at "
            "least three seeds before you rely on small differences."
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
    others = [loss for loss in first if loss != choice]
    named = _list(others) if len(others) <= MOST_NAMED else f"{len(others)} other losses"
    return f"Use {choice}. {named} cannot be told apart from the best."


def _evidence(standing: Standing, group: tuple[str, ...]) -> str:
    cell = standing.cell
    rest = len(cell.losses) - len(group)
    tested = f"{len(cell.cases)} cases, signed-rank tests with Holm's correction at {standing.alpha:g}"
    if not rest:
        return f"The tests separate no loss from the leader ({tested})."
    return f"The leader is significantly better than {rest} of {len(cell.losses) - 1} other losses ({tested})."


def _same_group(group: tuple[str, ...], choice: str) -> list[str]:
    """Name the whole top group where the headline does not."""
    others = [loss for loss in group if loss != choice]
    return [f"As good as the best, for all these data can say: {_list(others)}."] if len(others) > MOST_NAMED else []


def _close(ranking: Ranking, group: tuple[str, ...], differences: Sequence[Effects]) -> list[str]:
    """Name the losses that are significantly behind, but nowhere by more than the margin."""
    found = [own for own in differences if own.standing.cell.metric in ranking.headline]
    close = [
        loss
        for i, loss in enumerate(ranking.losses)
        if found and loss not in group and all(own.conclusion[i] == "equivalent" for own in found)
    ]
    if not close:
        return []
    margins = ", ".join(dict.fromkeys(f"{own.margin:g} {own.standing.cell.metric}" for own in found))
    return [f"{_list(close)}: behind by a difference too small to matter (median within {margins} of the leader)."]


def _cheaper(group: tuple[str, ...], choice: str, costs: Mapping[str, Cost]) -> list[str]:
    """Say which loss of the top group trains clearly faster than the choice."""
    priced = {loss: costs[loss].seconds for loss in group if loss in costs}
    cheapest = min(priced, key=lambda loss: priced[loss], default=choice)
    if choice not in priced or priced[cheapest] > 0.9 * priced[choice]:
        return []
    saved = 1 - priced[cheapest] / priced[choice]
    return [f"{cheapest} trains {saved:.0%} faster and cannot be told apart from the best: take it where time matters."]


def _steadier(ranking: Ranking, group: tuple[str, ...], choice: str) -> list[str]:
    """Say which loss of the top group varies less than half as much between seeds as the choice."""
    cells = [s.cell for s in ranking.standings if s.cell.metric in ranking.headline]
    spread = {
        loss: float(
            np.mean([cell.seed_deviation[ranking.losses.index(loss)] / abs(cell.values.mean()) for cell in cells])
        )
        for loss in group
    }
    steadiest = min(group, key=lambda loss: spread[loss])
    if not spread[steadiest] < 0.5 * spread[choice]:
        return []
    return [f"{steadiest} varies less than half as much between seeds, and cannot be told apart from the best."]


def _list(losses: list[str]) -> str:
    return losses[0] if len(losses) == 1 else f"{', '.join(losses[:-1])} and {losses[-1]}"
