"""How much one training of a loss differs from the next, estimated from runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.cells import Cell
from lossodyssey.ranking.limits import Part

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainingNoise:
    """The training noise of one task, pooled over its losses; matrices are (metrics, metrics), larger is better.

    The model of a run's mean over cases is loss + seed + loss x seed. `interaction` is the mean square of
    loss x seed, with `df` degrees of freedom: (losses - 1)(seeds - 1), added up over folds; 0 where no fold has two
    seeds. `seeds` is the mean square of the seeds, with `seed_df`. `weights` holds per loss the sum of the squared
    shares that its runs have in its mean (1 / number of seeds where every run scores every case).
    """

    interaction: Floats
    df: float
    seeds: Floats
    seed_df: float
    weights: Floats

    def of_mean(self, metric: int) -> Part:
        """Return the variance that seed and loss x seed give to each loss's mean under one metric, (losses,)."""
        losses = len(self.weights)
        shares = [
            Part(self.weights * self.seeds[metric, metric] / losses, np.full(losses, self.seed_df)),
            Part(self.weights * self.interaction[metric, metric] * (1 - 1 / losses), np.full(losses, self.df)),
        ]
        return Part.total(shares)


def training_noise(cells: Sequence[Cell]) -> TrainingNoise:
    """Estimate the training noise from the cells of one task, one per metric, all over the same cases."""
    runs = [run for run in cells[0].runs if all(run in cell.runs for cell in cells)]
    by_run = np.stack([c.measure.sign * c.by_run[:, [c.runs.index(run) for run in runs]] for c in cells])
    known = np.isfinite(by_run).all(axis=0)
    means = _mean(np.where(known, by_run, np.nan))
    folds = np.array([fold for fold, _ in runs])

    tables = [_table(means[:, :, folds == fold]) for fold in np.unique(folds)]
    interaction, seeds = sum(t.interaction for t in tables), sum(t.seeds for t in tables)
    df, seed_df = sum(t.df for t in tables), sum(t.seed_df for t in tables)
    share = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    weights = np.square(share.mean(axis=2)).sum(axis=1)
    return TrainingNoise(_ratio(interaction, df), df, _ratio(seeds, seed_df), seed_df, weights)


class Squares(NamedTuple):
    """Sums of squares of loss x seed and of seeds, (metrics, metrics), with their degrees of freedom."""

    interaction: Floats
    df: float
    seeds: Floats
    seed_df: float


def _table(means: Floats) -> Squares:
    """Split the (metrics, losses, runs) means of one fold.

    Where a loss lacks a run, seeds do not cancel between losses; then all that is left beside the losses' own means
    counts as loss x seed, which is at least as much.
    """
    present = np.asarray(np.isfinite(means).all(axis=0))
    metrics, losses, runs = means.shape
    if present.all():
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
    """Average over the last axis what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
