"""How the ranking varies when the cases are drawn again and, with several seeds, the losses trained again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.methods import METHODS, ranks
from lossodyssey.ranking.pairs import by_task
from lossodyssey.ranking.rank import Ranking, Standing, overall_score
from lossodyssey.ranking.trainings import TrainingNoise, training_noise

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Ranks and means in each resampling: (draws, losses) per standing of the ranking; ranks overall.

    `retrained` says whether the draws hold training noise beside the choice of cases.
    """

    ranks: tuple[Floats, ...]
    means: tuple[Floats, ...]
    overall: Floats
    observed: Floats
    retrained: bool

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
    """Rank again on `draws` resamplings of the cases of every task, with training noise where there are seeds.

    All losses and metrics of a task see the same resampled cases, tasks are drawn independently, a case drawn twice
    counts twice (two tied pairs in the tests). A case is a group (patient) where the table names groups. Training
    noise shifts all values of a loss, jointly in all metrics of a task; its size is drawn as well, as widely as the
    degrees of freedom leave it open.

    Raises:
        ValueError: `draws` is not positive.
    """
    weights = case_weights(ranking, draws, seed)
    shifts = training_shifts(ranking, draws, seed)

    def resample(standing: Standing) -> tuple[Floats, Floats]:
        shift = shifts.get((standing.cell.task, standing.cell.metric))
        return _resample(standing, weights[standing.cell.task], shift, ranking)

    # Threads, not processes: NumPy's sums leave the interpreter free, and the arrays need not be copied.
    with ThreadPoolExecutor(2) as pool:
        drawn = list(pool.map(resample, ranking.standings))

    scores = [score for score, _ in drawn]
    # The overall rank of a draw is made of that draw's cells, as the observed one is of the observed cells.
    chosen = [own for own, s in zip(scores, ranking.standings, strict=True) if s.cell.metric in ranking.headline]
    overall = ranks(overall_score(np.stack(chosen), ranking.method))
    means = tuple(mean for _, mean in drawn)
    return Bootstrap(tuple(ranks(own) for own in scores), means, overall, ranking.overall.position, bool(shifts))


def case_weights(ranking: Ranking, draws: int, seed: int) -> dict[str, Weights]:
    """Draw how often each case of each task counts, (draws, cases) per task.

    Raises:
        ValueError: `draws` is not positive.
    """
    if draws < 1:
        raise ValueError(f"draws {draws} is not positive; 1000 is usual")
    rng = np.random.default_rng(seed)
    # One draw per task, not per metric: the metrics of a case belong together.
    sizes = {s.cell.task: len(s.cell.cases) for s in ranking.standings}
    return {task: rng.multinomial(size, np.full(size, 1 / size), size=draws) for task, size in sizes.items()}


def training_shifts(ranking: Ranking, draws: int, seed: int) -> dict[tuple[str, str], Floats]:
    """Draw the shift that another training would give to each loss's mean, (draws, losses) per task and metric.

    Empty where some task has one seed only: half of the noise would make the rest look sure.
    """
    tasks = by_task([s.cell for s in ranking.standings])
    noises = {task: training_noise(cells) for task, cells in tasks.items()}
    if any(noise.df <= 0 for noise in noises.values()):
        return {}
    # A stream of its own: the cases drawn do not depend on whether there are seeds.
    rng = np.random.default_rng([seed, 1])
    return {
        (task, cell.metric): shift
        for task, noise in noises.items()
        for cell, shift in zip(tasks[task], _shifts(noise, draws, rng), strict=True)
    }


def _shifts(noise: TrainingNoise, draws: int, rng: np.random.Generator) -> Floats:
    """Draw (metrics, draws, losses) from the multivariate t of each loss's training noise.

    The size of the pooled noise is drawn once for all losses that share it.
    """
    # A root by eigenvalues, since a covariance estimated from few runs is singular; rounding makes some negative.
    values, vectors = np.linalg.eigh(noise.own)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, None]
    normal = rng.normal(size=(len(noise.own), roots.shape[2], draws))

    # Multivariate t: normal noise over the root of a chi-square divided by its degrees of freedom.
    shared = rng.chisquare(noise.df, size=draws)
    alone = rng.chisquare(np.broadcast_to(noise.own_df, (draws, len(noise.own_df))))
    sizes = np.sqrt(noise.own_df / np.where(noise.pooled, shared[:, None], alone))
    return np.asarray(np.einsum("lmk,lkd->mdl", roots, normal) * sizes * np.sqrt(noise.weights))


def _resample(standing: Standing, weights: Weights, shift: Floats | None, ranking: Ranking) -> tuple[Floats, Floats]:
    """Score one cell in every draw; return (draws, losses) scores and means in the metric's own direction."""
    cell, method = standing.cell, METHODS[ranking.method]
    # Weights count cases: a case drawn twice has weight 2, and no resampled table is ever built.
    means = weights @ cell.values.T / weights.sum(axis=1, keepdims=True)
    if shift is None:
        return method(cell.oriented, weights, ranking.level), means
    scores = [
        method(cell.oriented + own[:, None], draw[None], ranking.level)[0]
        for own, draw in zip(shift, weights, strict=True)
    ]
    # `shift` is oriented, larger is better; the means are in the metric's own direction.
    return np.stack(scores), means + cell.measure.sign * shift


def top_frequency(ranks: Floats, k: int) -> Floats:
    """Return how often each loss is among the first k; losses that tie for the last of these places share it."""
    tied = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    # Of t losses that share the places a + 1 ... a + t the average rank is a + (t + 1) / 2.
    ahead = ranks - (tied + 1) / 2
    return np.asarray(np.clip((k - ahead) / tied, 0, 1).mean(axis=0))
