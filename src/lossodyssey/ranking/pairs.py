"""Pairs of losses by themselves: differences of means with the noise of cases and of trainings.

The comparison of two losses over several metrics and tasks depends on these two alone; only the training noise is
pooled over all losses of a task (see `trainings`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from lossodyssey.ranking.cells import Cell
from lossodyssey.ranking.limits import Part, half_width, p_value
from lossodyssey.ranking.trainings import TrainingNoise, training_noise

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of losses in one scope: matrices [i, j] speak of loss i against loss j, positive where i is better.

    `difference` is the difference of means over cases, seeds, headline metrics and tasks, in `unit`. `cases`,
    `training` and `other` are the parts of its variance. `training` is that of both losses where their training noise
    is pooled; else it is that of one, and `other` that of the other. With one seed it is unknown (no degrees of
    freedom). `training_weight` is the variance that a run-to-run variance of 1 gives to the difference.
    """

    difference: Floats
    cases: Part
    training: Part
    other: Part
    training_weight: Floats
    unit: str

    @property
    def parts(self) -> list[Part]:
        """The parts that the limits rest on: cases and trainings, or cases alone where the trainings are unknown."""
        return [self.cases, self.training, self.other] if self.retrained else [self.cases]

    @property
    def retrained(self) -> bool:
        """Whether the pairs can be judged as losses trained again: some fold has two or more seeds."""
        return bool((self.training.df > 0).all())

    def limits(self, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Return the interval of each difference on its own, two-sided."""
        half = half_width((1 - confidence) / 2, self.parts)
        return self.difference - half, self.difference + half

    def p_retrained(self) -> Floats:
        """Return one-sided p-values that i is better than j when both are trained again; NaN with one seed."""
        return _open_diagonal(p_value(self.difference, [self.cases, self.training, self.other]))

    def chance_false(self) -> Floats:
        """Return the probability that i is not truly better than j, from a flat prior and normal noise."""
        return _open_diagonal(p_value(self.difference, self.parts))

    def tipping_point(self, alpha: float) -> Floats:
        """Return the largest run-to-run standard deviation under which "i differs from j" would still hold.

        The statement is the two-sided one of `limits`, at `alpha` divided by the number of pairs, with a training
        noise that is known; 0 where it does not hold without any training noise either.
        """
        # |difference|^2 = t^2 V_cases + z^2 w sigma^2, solved for sigma; z is normal, since sigma is taken as known.
        level = alpha / max(len(self.difference) * (len(self.difference) - 1), 1)
        room = np.square(self.difference) - np.square(half_width(level, [self.cases]))
        return np.asarray(np.sqrt(np.maximum(room, 0) / self.training_weight) / -ndtri(level))


def compare(cells: Sequence[Cell], noise: Mapping[str, TrainingNoise] | None = None) -> Pairs:
    """Compare all pairs of losses over `cells`: all metrics of a task weigh alike, and so do all tasks.

    `noise` gives the training noise of each task for exactly these metrics; by default it is estimated. Shares are
    averaged as they are. Metrics of different kinds are averaged in standard deviations of the pair's own paired
    differences.
    """
    tasks = by_task(cells)
    first, second = np.triu_indices(len(cells[0].losses), 1)
    # DSC and NSD are both shares and add up as they are; DSC and millimetres do not.
    mixed = len({cell.metric for cell in cells}) > 1 and not all(cell.measure.is_share for cell in cells)
    parts = [
        _task(own, training_noise(own) if noise is None else noise[task], first, second, mixed)
        for task, own in tasks.items()
    ]

    # Tasks have cases and trainings of their own, so the variances of their means add, each times (1 / tasks)^2.
    share, size = 1 / len(parts), len(cells[0].losses)

    def total(tasks: Sequence[Part]) -> Part:
        own = Part.total([Part(share**2 * part.variance, part.df) for part in tasks])
        return Part(_square(own.variance, size), _square(own.df, size, fill=np.inf))

    difference = share * np.sum([part.difference for part in parts], axis=0)
    weight = share**2 * np.sum([part.weight for part in parts], axis=0)
    return Pairs(
        difference=_square(difference, size, -difference),
        cases=total([part.cases for part in parts]),
        training=total([part.training for part in parts]),
        other=total([part.other for part in parts]),
        training_weight=_square(weight, size, fill=1),
        unit=_unit(cells, mixed),
    )


def by_task(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Group cells by their task."""
    tasks: dict[str, list[Cell]] = {}
    for cell in cells:
        tasks.setdefault(cell.task, []).append(cell)
    return tasks


def signed_ranks(cells: Sequence[Cell]) -> Floats:
    """Return per pair and case of all tasks the mean over metrics of the signed rank of the difference, (pairs, cases).

    Ranks are taken within the pair, task and metric, and divided by the number of cases: no third loss and no unit
    enters, so that cases of several metrics and tasks can be tested together.
    """
    first, second = np.triu_indices(len(cells[0].losses), 1)
    tasks = [
        np.mean([_signed(cell.oriented[first] - cell.oriented[second]) for cell in own], axis=0)
        for own in by_task(cells).values()
    ]
    return np.concatenate(tasks, axis=1)


def _signed(difference: Floats) -> Floats:
    rounded = np.round(difference, 12)
    # Zeros rank behind all others and then count 0: Wilcoxon's rule leaves them out of the ranking.
    size = np.where(rounded == 0, np.inf, np.abs(rounded))
    return np.asarray(np.where(rounded == 0, 0, np.sign(rounded) * rankdata(size, axis=1)) / rounded.shape[1])


class TaskPairs(NamedTuple):
    """The pairs of one task: mean difference, the parts of its variance, and how run-to-run variance enters it."""

    difference: Floats
    cases: Part
    training: Part
    other: Part
    weight: Floats


def _task(
    cells: Sequence[Cell], noise: TrainingNoise, first: NDArray[np.intp], second: NDArray[np.intp], mixed: bool
) -> TaskPairs:
    differences = np.stack([cell.oriented[first] - cell.oriented[second] for cell in cells])
    weights = _weights(differences, mixed)
    # Metrics are combined per case first: their correlation is then in the variance over cases.
    combined = np.sum(weights[:, :, None] * differences, axis=0)
    count = combined.shape[1]
    spread = combined.var(axis=1, ddof=1) / count if count > 1 else np.full(len(first), np.nan)

    one, two = (
        # w' S w with the weights of the metrics, times the share that each run has in the mean.
        Part(noise.weights[side] * np.einsum("mp,pmn,np->p", weights, noise.own[side], weights), noise.own_df[side])
        for side in (first, second)
    )
    shared = noise.pooled[first] & noise.pooled[second]
    return TaskPairs(
        difference=combined.mean(axis=1),
        cases=Part(spread, np.full(len(first), count - 1.0)),
        # Pooled noise is one estimate with one df for both losses; the noise of an unsteady loss is a part of its own.
        training=Part(one.variance + np.where(shared, two.variance, 0), one.df),
        other=Part(np.where(shared, 0, two.variance), np.where(shared, np.inf, two.df)),
        weight=noise.weights[first] + noise.weights[second],
    )


def _weights(differences: Floats, mixed: bool) -> Floats:
    """Weigh (metrics, pairs, cases) differences: all metrics alike, in their unit or in standard deviations."""
    scale = np.ones(differences.shape[:2])
    if mixed and differences.shape[2] > 1:
        # Per pair, so that no third loss decides how two losses compare.
        deviation = differences.std(axis=2, ddof=1)
        scale = np.where(deviation > 0, deviation, 1.0)
    return np.asarray(1 / (len(differences) * scale))


def _unit(cells: Sequence[Cell], mixed: bool) -> str:
    if mixed:
        return "standard deviations of the paired differences"
    return " and ".join(dict.fromkeys(cell.metric for cell in cells))


def _square(values: Floats, size: int, mirrored: Floats | None = None, fill: float = 0) -> Floats:
    """Spread values of the pairs over a (losses, losses) matrix, `mirrored` below the diagonal."""
    matrix = np.full((size, size), float(fill))
    matrix[np.triu_indices(size, 1)] = values
    matrix.T[np.triu_indices(size, 1)] = values if mirrored is None else mirrored
    return matrix


def _open_diagonal(p: Floats) -> Floats:
    np.fill_diagonal(p, 1.0)
    return p
