"""The sentences behind a recommendation, each from one computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtr

from lossodyssey.ranking.bootstrap import Bootstrap
from lossodyssey.ranking.caveats import listed, once_on, span
from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.means import Means, corrected_leader
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.ranking.rank import Ranking, Standing

MOST_NAMED = 5


@dataclass(frozen=True)
class Cost:
    """The cost of training with a loss, averaged over its runs."""

    seconds: float
    peak_memory_bytes: float = float("nan")


@dataclass(frozen=True, eq=False)
class Known:
    """The sources of the sentences: the ranking, its first group and the choice in it, and all else computed."""

    ranking: Ranking
    group: tuple[str, ...]
    choice: str
    costs: Mapping[str, Cost]
    differences: Sequence[Effects]
    resampled: Bootstrap | None
    intervals: Sequence[Means]

    @property
    def headline(self) -> list[int]:
        """Indices of the standings under headline metrics."""
        return [k for k, s in enumerate(self.ranking.standings) if s.cell.metric in self.ranking.headline]

    @property
    def compared(self) -> list[Effects]:
        """Differences to the leader under headline metrics."""
        return [own for own in self.differences if own.standing.cell.metric in self.ranking.headline]


def reasons(known: Known) -> Iterable[str]:
    """Yield the sentences that support and qualify the choice."""
    # Evidence first, then its limits, then time and steadiness: a reader may stop anywhere.
    yield from _evidence(known)
    yield from _tipping(known)
    yield from _best_set(known)
    yield from _leader(known)
    yield from _unsure(known)
    yield from _close(known)
    yield from _clearly_worse(known)
    yield from _contradictions(known)
    yield from _cheaper(known)
    yield from _steadier(known)


def _evidence(known: Known) -> Iterable[str]:
    """Keep the two statements apart: the losses trained again, and these trained networks."""
    standing, leader = known.ranking.overall, known.group[0]
    if standing.retrained:
        seeds, found = span(*known.ranking.seeds), _beaten(standing, standing.better_retrained, leader)
        how = f"{len(standing.cell.cases)} cases and {seeds} seeds, Holm's correction at {standing.alpha:g}"
        yield f"Trained again, on new cases: {found} ({how})."
    how = f"{len(standing.cell.cases)} cases, signed-rank tests with Holm's correction at {standing.alpha:g}"
    yield f"These trained networks, on new cases: {_beaten(standing, standing.better, leader)} ({how})."


def _beaten(standing: Standing, better: np.ndarray, leader: str) -> str:
    losses = standing.cell.losses
    ahead, others = better[losses.index(leader)], [loss for loss in losses if loss != leader]
    count = int(ahead.sum())
    if len(others) == 1:
        return f"{leader} is {'' if count else 'not '}significantly better than {others[0]}"
    if not count:
        return f"{leader} is not significantly better than any of the {len(others)} other {nouns()}"
    which = f"{count} of {len(others)}" if count < len(others) else f"each of the {count}"
    return f"{leader} is significantly better than {which} other {nouns()}"


def _tipping(known: Known) -> Iterable[str]:
    """Say, with one seed, how much training noise the leading statements would survive."""
    standing = known.ranking.overall
    losses, leader = standing.cell.losses, standing.cell.losses.index(known.group[0])
    behind = np.flatnonzero(standing.better[leader])
    if standing.retrained or not len(behind):
        return

    limit = standing.pairs.tipping_point(standing.alpha)[leader]
    limit = np.where(standing.pairs.difference[leader] > 0, limit, 0)  # the means may point the other way
    # The weakest lead comes first: it is the one that another training would overturn.
    shown = sorted((j for j in behind if limit[j] > 0), key=lambda j: limit[j])

    said = [f"One training each{once_on(known.ranking)} cannot tell {noun()} from luck."]
    if shown:
        more = f", that over {losses[shown[-1]]} below {limit[shown[-1]]:.2g}" if len(shown) > 1 else ""
        said.append(
            f"The lead over {losses[shown[0]]} would hold for {nouns()} trained again if the run-to-run standard "
            f"deviation is below {limit[shown[0]]:.2g} {standing.pairs.unit}{more}."
        )
    if len(shown) < len(behind):
        rest = listed([losses[j] for j in behind if not limit[j] > 0], MOST_NAMED)
        said.append(f"The means do not show the lead over {rest}, even without training noise.")
    yield " ".join(said)


def _best_set(known: Known) -> Iterable[str]:
    """Name the losses that cannot be excluded as the best; where one of a group remains, the headline has said it."""
    standing = known.ranking.overall
    inside = [standing.cell.losses[i] for i in standing.order if standing.best_set[i]]
    which = nouns() if standing.retrained else "trained networks"
    left = [loss for loss in known.group if loss not in inside]
    if len(inside) == len(standing.cell.losses):
        yield f"None of these {which} can be excluded as the best with {1 - standing.alpha:.0%} confidence."
    elif len(inside) == 1 == len(known.group):
        yield f"With {1 - standing.alpha:.0%} confidence the best of these {which} is {inside[0]}."
    elif len(inside) > 1:
        more = f" The headline keeps {listed(left, MOST_NAMED)} too: comparing all pairs excludes less." if left else ""
        sure = f"{1 - standing.alpha:.0%}"
        yield f"With {sure} confidence the best of these {which} is one of {listed(inside, MOST_NAMED)}.{more}"


def _leader(known: Known) -> Iterable[str]:
    """Say the leader's score with its interval, and corrected for the luck of leading."""
    if known.resampled is None or not known.intervals:
        return

    leader = known.ranking.overall.order[0]
    corrected = corrected_leader(known.ranking, known.resampled)
    scores = [
        f"{own.mean[leader]:.3f} on {cell.task} (95 % interval {own.low[leader]:.3f} to {own.high[leader]:.3f}; "
        f"{corrected[k]:.3f} corrected)"
        for k in known.headline
        if (cell := known.ranking.standings[k].cell).metric == known.ranking.headline[0]
        for own in [known.intervals[k]]
    ]
    yield (
        f"Mean {known.ranking.headline[0]} of {known.ranking.losses[leader]}, first in the leaderboard: "
        f"{', '.join(scores)}. Corrected is without what luck adds, on average, to a {noun()} that leads."
    )


def _close(known: Known) -> Iterable[str]:
    """Name the losses that are significantly behind, but nowhere by more than the margin."""
    found, losses = known.compared, known.ranking.losses
    close = [
        loss
        for i, loss in enumerate(losses)
        if found and loss not in known.group and all(own.conclusion[i] == "equivalent" for own in found)
    ]
    if close:
        margins = ", ".join(dict.fromkeys(f"{own.margin:g} {own.standing.cell.metric}" for own in found))
        yield (
            f"{listed(close, MOST_NAMED)}: behind by a difference too small to matter (mean and median, with their "
            f"intervals, within {margins} of the leader)."
        )


def _clearly_worse(known: Known) -> Iterable[str]:
    """Count the cases in which one of two losses is clearly worse, though as good in most or ahead in the tests."""
    for own in known.compared:
        losses = own.standing.cell.losses
        # Only where the average hides it: of a loss that is plainly behind, bad cases are nothing new.
        alike = [loss in known.group or abs(own.difference[i]) <= own.margin for i, loss in enumerate(losses)]
        told = [i for i in range(len(losses)) if alike[i] or own.contradictory[i]]
        for first in (True, False):
            more, less = (own.worse, own.better) if first else (own.better, own.worse)
            found = [i for i in told if more[i] and (more[i] > less[i] or (first and more[i] == less[i]))]
            if found:
                yield _counted(own, sorted(found, key=lambda i: -more[i]), first)


def _counted(own: Effects, found: Sequence[int], first: bool) -> str:
    """Say in how many cases losses are clearly worse than the reference (`first`), or the reference than they."""
    cell = own.standing.cell
    more, less = (own.worse, own.better) if first else (own.better, own.worse)
    by = f"by more than {own.clear:g} {cell.metric}"
    one = cell.losses[found[0]]

    if len(found) == 1:
        worse, than = (one, own.reference) if first else (own.reference, one)
        return (
            f"{worse} is worse than {than} {by} in {more[found[0]]} of {len(cell.cases)} cases of {cell.task}, and "
            f"better by as much in {less[found[0]]}."
        )

    counts = [
        f"{'' if first else 'than '}{cell.losses[i]} in {more[i]}"
        + (f" (the other way in {less[i]})" if less[i] else "")
        for i in (found if len(found) <= MOST_NAMED + 1 else found[:MOST_NAMED])
    ]
    others = len(found) - len(counts)
    rest = f", {others} others in {more[found[MOST_NAMED]]} at most" if others else ""
    who = f"Worse than {own.reference}" if first else f"{own.reference} is worse than others"
    return f"{who} {by}, of {len(cell.cases)} cases of {cell.task}: {', '.join(counts)}{rest}."


def _contradictions(known: Known) -> Iterable[str]:
    """Say where the tests over cases and the means point in different directions, and why."""
    for own in known.compared:
        cell = own.standing.cell
        means, leader = cell.values.mean(axis=1), cell.losses.index(own.reference)
        for i in np.flatnonzero(own.contradictory):
            ahead, share = (own.reference, own.won[i]) if own.mean[i] < 0 else (cell.losses[i], 1 - own.won[i])
            yield (
                f"{cell.metric} on {cell.task}: {ahead} is better in {share:.0%} of the cases, which the signed-rank "
                f"test counts, yet behind in the mean ({own.reference} {means[leader]:.3f}, {cell.losses[i]} "
                f"{means[i]:.3f}): a few large differences decide the mean."
            )


def _cheaper(known: Known) -> Iterable[str]:
    """Say which loss of the top group trains clearly faster than the choice, and is as good in the mean."""
    # A loss that only its own noise keeps in the group must not be advised to save time.
    behind = _behind(known)
    seconds = {loss: known.costs[loss].seconds for loss in known.group if loss in known.costs and loss not in behind}
    cheapest = min(seconds, key=lambda loss: seconds[loss], default=known.choice)
    # Times of runs on a shared machine differ by some percent without a reason.
    if known.choice in seconds and seconds[cheapest] <= 0.9 * seconds[known.choice]:
        saved = 1 - seconds[cheapest] / seconds[known.choice]
        yield (
            f"{cheapest} trains {saved:.0%} faster and cannot be told apart from the best: take it where time matters."
        )


def _unsure(known: Known) -> Iterable[str]:
    """Name the losses of the top group that are there because they train unsteadily, not because they did well."""
    far = {loss: own for loss, own in _behind(known).items() if own.standing.retrained}
    for loss, own in far.items():
        i = own.standing.cell.losses.index(loss)
        yield (
            f"{loss} cannot be told apart from the best, but in the mean it is {own.mean[i]:.2g} "
            f"{own.standing.cell.metric} behind on {own.standing.cell.task}: what its next training would give is open."
        )


def _behind(known: Known) -> dict[str, Effects]:
    """Return the losses of the top group that are behind the leader in some mean by more than the margin, and where."""
    found: dict[str, Effects] = {}
    for own in known.compared:
        for loss, mean in zip(own.standing.cell.losses, own.mean, strict=True):
            if loss in known.group and mean > own.margin:
                found.setdefault(loss, own)
    return found


def _steadier(known: Known) -> Iterable[str]:
    """Say which loss of the top group varies less between seeds than the choice, by more than chance (F test)."""
    cells = [known.ranking.standings[k].cell for k in known.headline]
    index = known.ranking.losses.index
    spread = {
        loss: float(np.mean([cell.seed_deviation[index(loss)] / abs(cell.values.mean()) for cell in cells]))
        for loss in known.group
    }

    steadiest = min(known.group, key=lambda loss: spread[loss])
    # The variances of n and n seeds follow F(n - 1, n - 1); times the losses tried, since the steadiest was picked.
    df = known.ranking.seeds[0] - 1
    if df < 1 or not spread[steadiest] < 0.5 * spread[known.choice]:
        return

    chance = fdtr(df, df, (spread[steadiest] / spread[known.choice]) ** 2) * (len(known.group) - 1)
    if chance < known.ranking.alpha:
        yield (
            f"{steadiest} varies less than half as much between seeds as {known.choice}, by more than chance, and "
            "cannot be told apart from the best."
        )
