"""How the ranking varies when the cases are drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.methods import METHODS, ranks
from lossodyssey.ranking.rank import Ranking, overall_score

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Ranks in each resampling: (draws, losses) per standing of the ranking, and overall."""

    ranks: tuple[Floats, ...]
    overall: Floats
    observed: Floats

    @property
    def median_tau(self) -> float:
        """Median of `tau` over the draws that order the losses at all; NaN where none does."""
        known = self.tau[np.isfinite(self.tau)]
        return float(np.median(known)) if len(known) else float("nan")

    @property
    def tau(self) -> Floats:
        """Kendall's tau-b of every resampled overall ranking to the observed one, (draws,)."""
        return tau_b(-np.vstack([self.observed, self.overall]))[0, 1:]


def bootstrap(ranking: Ranking, draws: int = 1000, seed: int = 0) -> Bootstrap:
    """Rank again on `draws` resamplings of the cases of every task.

    All losses and metrics of a task see the same resampled cases, tasks are drawn independently, a case drawn twice
    counts twice (two tied pairs in the tests). A case is a group (patient) where the table names groups.
    """
    weights = case_weights(ranking, draws, seed)
    method = METHODS[ranking.method]
    scores = [method(s.cell.oriented, weights[s.cell.task], ranking.alpha) for s in ranking.standings]
    chosen = [own for own, s in zip(scores, ranking.standings, strict=True) if s.cell.metric in ranking.headline]
    overall = ranks(overall_score(np.stack(chosen), ranking.method))
    return Bootstrap(tuple(ranks(own) for own in scores), overall, ranking.overall.position)


def case_weights(ranking: Ranking, draws: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Draw how often each case of each task counts, (draws, cases) per task."""
    if draws < 1:
        raise ValueError(f"draws {draws} is not positive; 1000 is usual")
    rng = np.random.default_rng(seed)
    sizes = {s.cell.task: len(s.cell.cases) for s in ranking.standings}
    return {task: rng.multinomial(size, np.full(size, 1 / size), size=draws) for task, size in sizes.items()}


def top_frequency(ranks: Floats, k: int) -> Floats:
    """How often each loss is among the first k; losses that tie for the last of these places share it."""
    tied = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    ahead = ranks - (tied + 1) / 2
    return np.asarray(np.clip((k - ahead) / tied, 0, 1).mean(axis=0))
