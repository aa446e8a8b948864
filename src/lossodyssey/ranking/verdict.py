"""The answer in words: groups that cannot be told apart, the choice among them, and refusals to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.bootstrap import Bootstrap
from lossodyssey.ranking.caveats import Doubt, caveats, listed, low_scores, once_on, refusals
from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.means import Means
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.ranking.rank import Flags, Ranking, Standing
from lossodyssey.ranking.reasons import Cost as Cost
from lossodyssey.ranking.reasons import Known, reasons
from lossodyssey.table import Row

MOST_NAMED = 2


@dataclass(frozen=True)
class Verdict:
    """The answer as far as the data allow one.

    `refusals` are reasons why no loss can be recommended (then `choice` is None); `caveats` limit what a recommendation
    means. `groups` are losses, best first, that the statements cannot separate from the first of their group; they
    follow the statements about retrained losses where there are several seeds (`retrained`), else those about these
    trained networks.
    """

    headline: str
    choice: str | None
    reasons: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    refusals: tuple[str, ...]
    caveats: tuple[str, ...]
    retrained: bool


def verdict(
    ranking: Ranking,
    rows: Iterable[Row],
    costs: Mapping[str, Cost] | None = None,
    differences: Sequence[Effects] = (),
    *,
    doubts: Sequence[Doubt] = (),
    trained: Sequence[str] = (),
    resampled: Bootstrap | None = None,
    intervals: Sequence[Means] = (),
) -> Verdict:
    """Return which loss to use, as far as the overall standing supports it.

    `costs` by loss, `differences` to the leader (see `effects`), `resampled` and `intervals` add sentences on cheaper
    losses, on losses as good in practice, and on luck. `doubts` about the training stand before the recommendation,
    sentences on how the losses were `trained` stand among the caveats.
    """
    table = [row for row in rows if row.loss in ranking.losses]
    refused = refusals(ranking, table)
    groups = indistinguishable(ranking.overall)
    limits = (*caveats(ranking, table), *trained)
    if refused:
        headline = "These data do not support a recommendation."
        return Verdict(headline, None, (), groups, refused, limits, ranking.overall.retrained)

    choice = _choice(ranking.overall, groups[0])
    known = Known(ranking, groups[0], choice, costs or {}, differences, resampled, intervals)
    headline = _headline(choice, groups, ranking, [*doubts, *low_scores(ranking)])
    return Verdict(headline, choice, tuple(reasons(known)), groups, (), limits, ranking.overall.retrained)


def indistinguishable(standing: Standing) -> tuple[tuple[str, ...], ...]:
    """Split the losses, best first, into groups: each holds the losses that cannot be separated from its first.

    The first of a group is behind no other of the rest and ahead of the most; among equals the order of the scores
    decides. Where the tests go round in a circle, the circle is the head of the group.
    """
    better = standing.judged
    rest = standing.order
    groups = []
    while rest:
        head = _head(better, rest)
        # Measured against the head alone: "not separated" is not transitive, and chains would join everything.
        group = [*head, *(i for i in rest if i not in head and not better[head, i].any())]
        groups.append(tuple(standing.cell.losses[i] for i in group))
        rest = [i for i in rest if i not in group]
    return tuple(groups)


def _head(better: Flags, rest: Sequence[int]) -> list[int]:
    """Return the loss that is behind no other and ahead of the most, or the circle of those that beat each other."""
    head = [max(rest, key=lambda i: (not better[rest, i].any(), int(better[i, rest].sum())))]
    # Pairwise tests may go round in a circle, a over b over c over a: whoever beats the head joins it.
    while ahead := [i for i in rest if i not in head and better[i, head].any()]:
        head += ahead
    return head


def _choice(standing: Standing, group: tuple[str, ...]) -> str:
    """Pick the highest-ranked loss with the fewest values lost, among those of the group that may be the best."""
    inside = _inside(standing)
    filled = dict(zip(standing.cell.losses, standing.cell.filled, strict=True))
    # A score that rests on stand-ins for lost values is the weakest kind of lead.
    return min((loss for loss in group if loss in inside or not inside), key=lambda loss: filled[loss])


def _inside(standing: Standing) -> list[str]:
    return [loss for loss, best in zip(standing.cell.losses, standing.best_set, strict=True) if best]


def _headline(choice: str, groups: tuple[tuple[str, ...], ...], ranking: Ranking, doubts: Sequence[Doubt]) -> str:
    """Say which loss to use, and first of all where the training makes even that doubtful."""
    serious = [doubt.text for doubt in doubts if doubt.serious]
    if serious:
        every = "; ".join(doubt.text for doubt in doubts)
        stands = _ahead(choice, groups, ranking) + _not_compared(ranking)
        return f"The training is too doubtful for a recommendation ({every}). As it stands, {stands}"
    told = _told(choice, groups, ranking) + _in_the_mean(choice, ranking.overall) + _not_compared(ranking)
    if not doubts:
        return told
    return f"As trained here ({'; '.join(doubt.text for doubt in doubts)}): {told[0].lower()}{told[1:]}"


def _ahead(choice: str, groups: tuple[tuple[str, ...], ...], ranking: Ranking) -> str:
    if len(groups[0]) > 1 and _inside(ranking.overall) == [choice]:
        return f"{choice} is ahead, {_surely(ranking)}{_not_separated(choice, groups[0])}."
    if len(groups) == 1:
        return f"no {noun()} is clearly better than the others."
    return f"{choice} is ahead{'' if len(groups[0]) == 1 else ', together with others'}."


def _told(choice: str, groups: tuple[tuple[str, ...], ...], ranking: Ranking) -> str:
    standing, first = ranking.overall, groups[0]
    inside = _inside(standing)
    which = "" if standing.retrained else f", as far as one training each{once_on(ranking)} can say"
    if len(first) == 1:
        return f"Use {choice}. It is better than every other {noun()} {_tested(ranking)}{which}."
    if not inside:
        return (
            f"No {noun()} is better than all others{which}: the tests go round in a circle. {choice} is as good a "
            "choice as any of the first group."
        )

    if inside == [choice]:
        return f"Use {choice}. It is {_surely(ranking)}{which}{_not_separated(choice, first)}."
    if len(groups) == 1:
        return f"No {noun()} is clearly better than the others{which}. {choice} is as good a choice as any."
    return f"Use {choice}. {_others(choice, first)} cannot be told apart from the best{which}."


def _others(choice: str, group: Sequence[str]) -> str:
    others = [loss for loss in group if loss != choice]
    return listed(others) if len(others) <= MOST_NAMED else f"{len(others)} other {nouns()}"


def _not_separated(choice: str, group: Sequence[str]) -> str:
    return f", though the stricter comparison of all pairs does not separate it from {_others(choice, group)}"


def _tested(ranking: Ranking) -> str:
    return "compared" if ranking.left_out else "tested"


def _not_compared(ranking: Ranking) -> str:
    """Name the losses that the headline does not speak of."""
    if not ranking.left_out:
        return ""
    was, are = ("was", "is") if len(ranking.left_out) == 1 else ("were", "are")
    return f" {listed(list(ranking.left_out), MOST_NAMED)} {was} not run on all of these data and {are} not compared."


def _surely(ranking: Ranking) -> str:
    which = nouns() if ranking.overall.retrained else "trained networks"
    return f"with {1 - ranking.alpha:.0%} confidence the best of these {which}"


def _in_the_mean(choice: str, standing: Standing) -> str:
    """Name the losses that the tests over cases put behind the choice and the mean ahead of it."""
    i = standing.cell.losses.index(choice)
    ahead = standing.better[i] & (standing.pairs.difference[i] < 0)
    names = [standing.cell.losses[j] for j in np.flatnonzero(ahead)]
    return f" In the mean, however, it is behind {listed(names, MOST_NAMED)}." if names else ""
