"""How much one training of a loss differs from the next, estimated from runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from lossodyssey.ranking.cells import Cell
from lossodyssey.ranking.limits import Part

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

UNSTEADY_LEVEL = 0.01
SMALLEST_POOL = 4
"""Degrees of freedom that must remain in the pool: a noise that is known worse cannot tell who is unsteady."""


@dataclass(frozen=True, eq=False)
class TrainingNoise:
    """The training noise of one task; matrices are (metrics, metrics), larger is better.

    The model of a run's mean over cases is loss + seed + loss x seed. `interaction` is the mean square of loss x seed,
    pooled over the losses marked in `pooled`, with `df` degrees of freedom: (losses - 1)(seeds - 1), added up over
    folds; 0 where no fold has two seeds. A loss that varies clearly more than the others is not pooled: it would hide
    their differences, and they would make it look steady. `own` (losses, metrics, metrics) holds the noise that each
    loss is judged by, with `own_df`: the pool, but never less than the variance of its own runs; for a loss that is not
    pooled that variance alone.

    `seeds` is the mean square of the seeds among the pooled losses, with `seed_df`. `weights` holds per loss the sum
    of the squared shares that its runs have in its mean (1 / number of seeds where every run scores every case).
    """

    interaction: Floats
    df: float
    seeds: Floats
    seed_df: float
    weights: Floats
    pooled: Flags
    own: Floats
    own_df: Floats

    def of_mean(self, metric: int) -> Part:
        """Return the variance that seed and loss x seed give to each loss's mean under one metric, (losses,)."""
        # E(MS seeds) = losses x var(seed) + var(loss x seed): a share of 1 / losses of the interaction is in it.
        count = self.pooled.sum()
        seeds = Part(self.weights * self.seeds[metric, metric] / count, np.full(len(self.weights), self.seed_df))
        share = np.where(self.pooled, 1 - 1 / count, 1.0)  # the seeds' mean square holds 1 / count of it
        return Part.total([seeds, Part(self.weights * share * self.own[:, metric, metric], self.own_df)])


def training_noise(cells: Sequence[Cell]) -> TrainingNoise:
    """Estimate the training noise from the cells of one task, one per metric, all over the same cases."""
    runs = [run for run in cells[0].runs if all(run in cell.runs for cell in cells)]
    by_run = np.stack([c.measure.sign * c.by_run[:, [c.runs.index(run) for run in runs]] for c in cells])
    # A case counts for a run where all metrics score it, so that their covariance is taken over the same cases.
    known = np.isfinite(by_run).all(axis=0)
    means = _mean(np.where(known, by_run, np.nan))

    folds = np.array([fold for fold, _ in runs])
    share = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    weights = np.square(share.mean(axis=2)).sum(axis=1)
    # Per fold: the cases of a fold are its own, and their difficulty must not pass for training noise.
    tables = [means[:, :, folds == fold] for fold in np.unique(folds)]
    pooled = _steady(tables) if np.isfinite(means).all() else np.ones(len(weights), dtype=bool)
    return _noise(tables, pooled, weights)


def _noise(tables: Sequence[Floats], pooled: Flags, weights: Floats) -> TrainingNoise:
    """Pool the steady losses of the (metrics, losses, seeds) tables; keep the variance of each other loss's own runs.

    The runs of an unsteady loss are compared with the pooled losses' mean of the same seeds. The variance of that mean
    is left in: it can only widen the limits.
    """
    shared = [_squares(table[:, pooled]) for table in tables]
    df, seed_df = sum(own.df for own in shared), sum(own.seed_df for own in shared)
    interaction = _ratio(sum(own.interaction for own in shared), df)
    own = np.broadcast_to(interaction, (len(weights), *interaction.shape)).copy()
    own_df = np.full(len(weights), float(df))
    for loss in np.flatnonzero(~pooled):
        own[loss], own_df[loss] = _against(tables, int(loss), pooled)
    for loss in np.flatnonzero(pooled):
        # After the unsteady ones have left: they would lift the pool that is the yardstick here.
        own[loss] *= _floor(tables, int(loss), pooled, interaction)
    seeds = _ratio(sum(each.seeds for each in shared), seed_df)
    return TrainingNoise(interaction, float(df), seeds, float(seed_df), weights, pooled, own, own_df)


def _floor(tables: Sequence[Floats], loss: int, pooled: Flags, interaction: Floats) -> float:
    """Return the factor that lifts the pooled variance to the loss's own where that is larger, in any metric.

    Few seeds do not show which loss trains unsteadily; the pool must not make it look steadier than it was.
    """
    rest = pooled & (np.arange(len(pooled)) != loss)
    own, df = _against(tables, loss, rest) if rest.any() else (interaction, 0.0)
    shared = np.diag(interaction) * (1 + 1 / max(rest.sum(), 1))
    if df <= 0 or not np.isfinite(own).all() or not (shared > 0).all():
        return 1.0
    return float(max(1.0, np.max(np.diag(own) / shared)))


def _steady(tables: Sequence[Floats]) -> Flags:
    """Mark the losses to pool: take out, one by one, those that vary more than the rest by an F test at 0.01 / losses.

    At least two losses remain, and a pool of at least `SMALLEST_POOL` degrees of freedom.
    """
    losses = tables[0].shape[1]
    pooled = np.ones(losses, dtype=bool)
    while pooled.sum() > 2:
        p = np.array([_excess(tables, loss, pooled) if pooled[loss] else 1.0 for loss in range(losses)])
        # One at a time: a second unsteady loss shows only after the first no longer inflates the pool.
        if not p.min() < UNSTEADY_LEVEL / losses:
            break
        pooled[int(p.argmin())] = False
    return pooled


def _excess(tables: Sequence[Floats], loss: int, pooled: Flags) -> float:
    """Return the smallest p-value over the metrics that a loss varies no more than the other pooled ones."""
    rest = pooled & (np.arange(len(pooled)) != loss)
    own, df = _against(tables, loss, rest)
    shared = [_squares(table[:, rest]) for table in tables]
    rest_df = sum(each.df for each in shared)
    if df <= 0 or rest_df < SMALLEST_POOL:
        return 1.0
    # A loss less the mean of m others varies by (1 + 1 / m) times a single one's variance.
    others = np.diag(_ratio(sum(each.interaction for each in shared), rest_df)) * (1 + 1 / rest.sum())
    ratio = np.divide(np.diag(own), others, out=np.ones(len(others)), where=others > 0)
    # Bonferroni over the metrics: the smallest of their p-values was picked.
    return float(np.min(fdtrc(df, rest_df, ratio)) * len(others))


def _against(tables: Sequence[Floats], loss: int, others: Flags) -> tuple[Floats, float]:
    """Return the covariance of a loss's run means less the mean of `others` in the same runs, and its degrees."""
    apart = [table[:, loss] - table[:, others].mean(axis=1) for table in tables]
    centred = np.concatenate([own - own.mean(axis=1, keepdims=True) for own in apart], axis=1)
    df = float(sum(own.shape[1] - 1 for own in apart))
    return _ratio(centred @ centred.T, df), df


@dataclass(frozen=True, eq=False)
class Squares:
    """Sums of squares of loss x seed and of seeds, (metrics, metrics), with their degrees of freedom."""

    interaction: Floats
    df: float
    seeds: Floats
    seed_df: float


def _squares(means: Floats) -> Squares:
    """Split the (metrics, losses, runs) means of one fold.

    Where a loss lacks a run, seeds do not cancel between losses; then everything beside the losses' own means counts as
    loss x seed, which is at least as much.
    """
    present = np.asarray(np.isfinite(means).all(axis=0))
    metrics, losses, runs = means.shape
    if present.all():
        # Two-way analysis of variance without replication: the rest beside loss and seed is loss x seed.
        seeds = means.mean(axis=1) - means.mean(axis=(1, 2))[:, None]
        rest = means - means.mean(axis=2, keepdims=True) - seeds[:, None]
        own, shared = np.einsum("mlr,nlr->mn", rest, rest), losses * np.einsum("mr,nr->mn", seeds, seeds)
        return Squares(own, (losses - 1.0) * (runs - 1), shared, runs - 1.0)
    centred = np.where(present, means - _mean(np.where(present, means, np.nan))[:, :, None], 0)
    df = float(present.sum() - present.any(axis=1).sum())
    return Squares(np.einsum("mlr,nlr->mn", centred, centred), df, np.zeros((metrics, metrics)), 0.0)


def _ratio(squares: Floats | int, df: float) -> Floats:
    return np.asarray(squares / df if df > 0 else np.full(np.shape(squares), np.nan))


def _mean(values: Floats) -> Floats:
    """Average the finite values over the last axis; NaN where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
