"""Which values of a metric's column stand out, as far as a test supports it."""

from __future__ import annotations

from lossodyssey.ranking.nouns import noun
from lossodyssey.ranking.rank import Standing

BEST, WORST, TIED = "best", "worst", "tied"


def marks(standing: Standing) -> list[str]:
    """Mark the losses of one column: best, worst, tied, or the empty text.

    The best mean is marked where its loss is significantly better than every other (signed-rank tests over the cases,
    Holm's correction), the worst mean where every other is significantly better. Where the best is better than some
    only, it and the losses that cannot be told apart from it are "tied". Where no pair differs, nothing is marked.
    """
    better = standing.better
    # The marks stand on means, so a loss must lead in the mean and in the tests to get one.
    means = standing.cell.oriented.mean(axis=1)
    best, worst, others = int(means.argmax()), int(means.argmin()), len(means) - 1
    found = [""] * len(means)
    if 0 < better[best].sum() < others:
        found = ["" if beaten else TIED for beaten in better[best]]
    if better[best].sum() == others:
        found[best] = BEST
    if better[:, worst].sum() == others:
        found[worst] = WORST
    return found


def explained(alpha: float) -> dict[str, str]:
    """Say what each mark means."""
    tested = f"signed-rank test of these trained networks over the cases, p < {alpha:g} after Holm's correction"
    return {
        BEST: f"best mean of the column, significantly better than every other ({tested})",
        TIED: f"not significantly worse than the best mean of a column in which no {noun()} beats all others",
        WORST: "worst mean of the column, significantly worse than every other",
    }
