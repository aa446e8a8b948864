"""The sentences behind a recommendation, each from one computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.bootstrap import Bootstrap
from lossodyssey.ranking.caveats import listed
from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.means import Means, corrected_leader
from lossodyssey.ranking.rank import Ranking, Standing

MOST_NAMED = 2


@dataclass(frozen=True)
class Cost:
    """What training with a loss costs, averaged over its runs."""

    seconds: float
    peak_memory_bytes: float = float("nan")


@dataclass(frozen=True, eq=False)
class Known:
    """What the sentences draw on: the ranking, its first group and the choice in it, and what else was computed."""

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
    """Return the sentences that support and qualify the choice."""
    yield from _evidence(known)
    yield from _tipping(known)
    yield from _best_set(known)
    yield from _leader(known)
    yield from _close(known)
    yield from _clearly_worse(known)
    yield from _contradictions(known)
    yield from _cheaper(known)
    yield from _steadier(known)


def _evidence(known: Known) -> Iterable[str]:
    """Keep the two statements apart: the losses trained again, and these trained networks."""
    standing, leader = known.ranking.overall, known.group[0]
    if standing.retrained:
        seeds = len({seed for s in known.ranking.standings for _, seed in s.cell.runs})
        how = f"{len(standing.cell.cases)} cases and {seeds} seeds, Holm's correction at {standing.alpha:g}"
        yield f"Trained again, on new cases: {_beaten(standing, standing.better_retrained, leader)} ({how})."
    how = f"{len(standing.cell.cases)} cases, signed-rank tests with Holm's correction at {standing.alpha:g}"
    yield f"These trained networks, on new cases: {_beaten(standing, standing.better, leader)} ({how})."


def _beaten(standing: Standing, better: np.ndarray, leader: str) -> str:
    count, others = int(better[standing.cell.losses.index(leader)].sum()), len(standing.cell.losses) - 1
    if not count:
        return f"{leader} is significantly better than none of the {others} other losses"
    return f"{leader} is significantly better than {count} of {others} other losses"


def _tipping(known: Known) -> Iterable[str]:
    """Say, with one seed, how much training noise the leading statements would survive."""
    standing = known.ranking.overall
    leader = standing.cell.losses.index(known.group[0])
    behind = np.flatnonzero(standing.better[leader])
    if standing.retrained or not len(behind):
        return
    limit = standing.pairs.tipping_point(standing.alpha)[leader]
    closest, furthest = (int(pick(behind, key=lambda j: limit[j])) for pick in (min, max))
    yield (
        f"One training each cannot tell loss from luck. The lead over {standing.cell.losses[closest]} would hold for "
        f"losses trained again if the run-to-run standard deviation is below {_amount(limit[closest], standing)}"
        + ("." if closest == furthest else f", that over {standing.cell.losses[furthest]} below {limit[furthest]:.2g}.")
    )


def _amount(value: float, standing: Standing) -> str:
    return f"{value:.2g} {standing.pairs.unit}" if value > 0 else "0: not even without training noise, by the means"


def _best_set(known: Known) -> Iterable[str]:
    standing = known.ranking.overall
    inside = [standing.cell.losses[i] for i in standing.order if standing.best_set[i]]
    which = "losses" if standing.retrained else "trained networks"
    if len(inside) == len(standing.cell.losses):
        yield f"None of these {which} can be excluded as the best with {1 - standing.alpha:.0%} confidence."
    else:
        one = "" if len(inside) == 1 else "one of "
        yield f"With {1 - standing.alpha:.0%} confidence the best of these {which} is {one}{listed(inside)}."


def _leader(known: Known) -> Iterable[str]:
    """Give the leader's score with its interval, and less what it owes to having been chosen."""
    if known.resampled is None or not known.intervals:
        return
    leader = known.ranking.overall.order[0]
    corrected = corrected_leader(known.ranking, known.resampled)
    scores = [
        f"{own.mean[leader]:.3f} on {cell.task} ({own.low[leader]:.3f} to {own.high[leader]:.3f}; {corrected[k]:.3f})"
        for k in known.headline
        if (cell := known.ranking.standings[k].cell).metric == known.ranking.headline[0]
        for own in [known.intervals[k]]
    ]
    yield (
        f"Mean {known.ranking.headline[0]} of {known.ranking.losses[leader]}, with its 95 % interval and what is left "
        f"of it without the luck of having been chosen: {', '.join(scores)}."
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
            f"{listed(close)}: behind by a difference too small to matter (mean and median, with their intervals, "
            f"within {margins} of the leader)."
        )


def _clearly_worse(known: Known) -> Iterable[str]:
    """Count the cases in which a loss that is as good in most is clearly worse than the leader."""
    for own in known.compared:
        cell = own.standing.cell
        for i, loss in enumerate(cell.losses):
            alike = loss in known.group or abs(own.difference[i]) <= own.margin
            if alike and own.worse[i]:
                yield (
                    f"{loss} is worse than {own.reference} by more than {own.clear:g} {cell.metric} in {own.worse[i]} "
                    f"of {len(cell.cases)} cases of {cell.task}, and better by as much in {own.better[i]}."
                )


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
    """Say which loss of the top group trains clearly faster than the choice."""
    seconds = {loss: known.costs[loss].seconds for loss in known.group if loss in known.costs}
    cheapest = min(seconds, key=lambda loss: seconds[loss], default=known.choice)
    if known.choice in seconds and seconds[cheapest] <= 0.9 * seconds[known.choice]:
        saved = 1 - seconds[cheapest] / seconds[known.choice]
        yield (
            f"{cheapest} trains {saved:.0%} faster and cannot be told apart from the best: take it where time matters."
        )


def _steadier(known: Known) -> Iterable[str]:
    """Say which loss of the top group varied less than half as much between seeds as the choice."""
    cells = [known.ranking.standings[k].cell for k in known.headline]
    index = known.ranking.losses.index
    spread = {
        loss: float(np.mean([cell.seed_deviation[index(loss)] / abs(cell.values.mean()) for cell in cells]))
        for loss in known.group
    }
    steadiest = min(known.group, key=lambda loss: spread[loss])
    if spread[steadiest] < 0.5 * spread[known.choice]:
        seeds = len({seed for _, seed in cells[0].runs})
        yield (
            f"{steadiest} varies less than half as much between these {seeds} seeds, and cannot be told apart from "
            "the best."
        )
