"""One paragraph for a decision, one for a methods section: what was compared, and how large the difference is."""

from __future__ import annotations

from collections.abc import Sequence

from lossodyssey.ranking.caveats import listed, span
from lossodyssey.ranking.cells import POLICIES
from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.methods import TITLES
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.ranking.rank import Ranking, Standing
from lossodyssey.ranking.verdict import Verdict

MOST_LISTED = 8


def in_short(ranking: Ranking, answer: Verdict, differences: Sequence[Effects]) -> str:
    """Say how much the choice matters: the lead over the next and over the last, beside what matters at all."""
    if answer.refusals:
        return "In short: not enough was measured to choose by, so there is no reason to change anything."
    said = ["In short:"]
    for found in differences:
        if found.standing.cell.metric == ranking.headline[0]:
            said += _sizes(ranking, found)
    return " ".join(said) if len(said) > 1 else ""


def _sizes(ranking: Ranking, found: Effects) -> list[str]:
    cell = found.standing.cell
    order = [cell.losses.index(ranking.losses[i]) for i in ranking.overall.order]
    leader = cell.losses.index(found.reference)
    others = [i for i in order if i != leader]
    on = f" on {cell.task}" if len(ranking.tasks) > 1 else ""
    lines = [f"in mean {cell.metric}{on}, {found.reference} is {_difference(found, others[0], 'the next')}."]
    if len(others) > 1:
        lines.append(f"It is {_difference(found, others[-1], 'the last')}.")
    lines.append(_weighed(found, others[0]))
    return lines


def _difference(found: Effects, i: int, place: str) -> str:
    """Write a difference of means in the words of the metric: `0.012 better than B, the next (95 % ...)`."""
    size = round(found.mean[i], 3)
    how = "better" if size > 0 else "worse"
    measure = found.standing.cell.measure
    unit = f" {measure.unit_in_words}" if measure.unit == "mm" else ""
    ends = f"95 % for this pair alone: {found.mean_low[i]:+.3f} to {found.mean_high[i]:+.3f}"
    other = f"{found.standing.cell.losses[i]}, {place} ({ends})"
    return f"{abs(size):.3f}{unit} {how} than {other}" if size else f"within 0.001{unit} of {other}"


def _weighed(found: Effects, i: int) -> str:
    low, high, margin = found.mean_low[i], found.mean_high[i], found.margin
    if not margin > 0:
        return f"Nobody has said how large a difference in {found.standing.cell.metric} matters."
    if max(abs(low), abs(high)) <= margin:
        return f"So the first two are as good as each other: less than {margin:g} does not matter."
    if low > margin:
        return f"The lead is more than {margin:g}, from which on it matters."
    return f"Whether the lead is more than {margin:g}, from which on it matters, is open."


def methods_text(ranking: Ranking, draws: int, version: str) -> str:
    """Return a paragraph that can be pasted into the methods section of a paper."""
    overall, low, high = ranking.overall, *ranking.seeds
    names = f": {listed(ranking.losses)}" if len(ranking.losses) <= MOST_LISTED else ""
    lines = [
        f"We compared {len(ranking.losses)} {nouns()}{names}, each trained {_times(low, high)}, on {_data(ranking)}.",
        f"Cases were scored by {listed([*ranking.metrics])}; classes were averaged within a case, then trainings, then "
        f"cases of a patient. Missing values: {POLICIES[ranking.policy]}.",
    ]
    lines.append(
        "Statements about the trained networks are paired Wilcoxon signed-rank tests over cases, one-sided in both "
        f"directions of every pair, corrected by Holm's method at {ranking.alpha:g}."
    )
    if overall.retrained:
        lines.append(
            f"Statements about a {noun()} trained again compare means against the variance over cases and over "
            f"{noun()} x seed, pooled over the {nouns()} (Student's t, Satterthwaite's degrees of freedom, Holm's "
            "method)."
        )
    lines.append(f"The order is by {TITLES[ranking.method]}.")
    lines.append(
        f"Intervals of means hold 95 % (BCa bootstrap with {draws:,} draws of cases"
        f"{', widened by the training noise' if overall.retrained else ''}). Computed with LossOdyssey {version}."
    )
    return " ".join(lines)


def _times(low: int, high: int) -> str:
    if high == 1:
        return "once"
    return f"{span(low, high)} times from different seeds"


def _data(ranking: Ranking) -> str:
    cases: dict[str, Standing] = {s.cell.task: s for s in ranking.standings}
    return listed([f"{task} ({len(s.cell.cases)} cases or patients)" for task, s in cases.items()])
