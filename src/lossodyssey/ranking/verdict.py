"""The answer in words: groups that cannot be told apart, what to choose among them, and when there is no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lossodyssey.ranking.bootstrap import Bootstrap
from lossodyssey.ranking.caveats import Doubt, caveats, listed, low_scores, refusals
from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.means import Means
from lossodyssey.ranking.rank import Ranking, Standing
from lossodyssey.ranking.reasons import Cost as Cost
from lossodyssey.ranking.reasons import Known, reasons
from lossodyssey.table import Row

MOST_NAMED = 2


@dataclass(frozen=True)
class Verdict:
    """What the data allow to say.

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
    resampled: Bootstrap | None = None,
    intervals: Sequence[Means] = (),
) -> Verdict:
    """Return which loss to use, as far as the overall standing supports it.

    `costs` by loss, `differences` to the leader (see `effects`), `resampled` and `intervals` add what is cheaper, as
    good in practice, or owed to luck. `doubts` about the training stand before the recommendation.
    """
    table = list(rows)
    refused = refusals(ranking, table)
    groups = indistinguishable(ranking.overall)
    limits = caveats(ranking, table)
    if refused:
        headline = "These data do not support a recommendation."
        return Verdict(headline, None, (), groups, refused, limits, ranking.overall.retrained)
    choice = _choice(ranking.overall, groups[0])
    known = Known(ranking, groups[0], choice, costs or {}, differences, resampled, intervals)
    headline = _headline(choice, groups, ranking.overall.retrained, [*doubts, *low_scores(ranking)])
    return Verdict(headline, choice, tuple(reasons(known)), groups, (), limits, ranking.overall.retrained)


def indistinguishable(standing: Standing) -> tuple[tuple[str, ...], ...]:
    """Split the losses, best first, into groups: each holds what cannot be separated from its first loss.

    The first of a group is the first in the order of the scores among those that are behind no other of the rest.
    """
    better = standing.judged
    rest = standing.order
    groups = []
    while rest:
        first = next((i for i in rest if not better[rest, i].any()), rest[0])
        group = [first, *(i for i in rest if i != first and not better[first, i])]
        groups.append(tuple(standing.cell.losses[i] for i in group))
        rest = [i for i in rest if i not in group]
    return tuple(groups)


def _choice(standing: Standing, group: tuple[str, ...]) -> str:
    """Pick the highest-ranked loss of the group among those with the fewest values lost."""
    filled = dict(zip(standing.cell.losses, standing.cell.filled, strict=True))
    return min(group, key=lambda loss: (filled[loss], group.index(loss)))


def _headline(choice: str, groups: tuple[tuple[str, ...], ...], retrained: bool, doubts: Sequence[Doubt]) -> str:
    """Say what to use, and first of all where the training makes even that doubtful."""
    serious = [doubt.text for doubt in doubts if doubt.serious]
    if serious:
        every = "; ".join(doubt.text for doubt in doubts)
        return f"The training is too doubtful for a recommendation ({every}). As it stands, {_ahead(choice, groups)}"
    told = _told(choice, groups, retrained)
    if not doubts:
        return told
    return f"As trained here ({'; '.join(doubt.text for doubt in doubts)}): {told[0].lower()}{told[1:]}"


def _ahead(choice: str, groups: tuple[tuple[str, ...], ...]) -> str:
    if len(groups) == 1:
        return "no loss is clearly better than the others."
    return f"{choice} is ahead{'' if len(groups[0]) == 1 else ', together with others'}."


def _told(choice: str, groups: tuple[tuple[str, ...], ...], retrained: bool) -> str:
    first = groups[0]
    which = "" if retrained else ", as far as one training each can say"
    if len(groups) == 1:
        return f"No loss is clearly better than the others{which}. {choice} is as good a choice as any."
    if len(first) == 1:
        return f"Use {choice}. It is better than every other loss tested{which}."
    others = [loss for loss in first if loss != choice]
    named = listed(others) if len(others) <= MOST_NAMED else f"{len(others)} other losses"
    return f"Use {choice}. {named} cannot be told apart from the best{which}."
