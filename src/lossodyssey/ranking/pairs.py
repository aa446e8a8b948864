"""Pairs of losses by themselves: differences of means with the noise of cases and of trainings.

The comparison of two losses over several metrics and tasks depends on these two alone; only the training noise is
pooled over all losses of a task (see `trainings`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

    `difference` is the difference of means over cases, seeds, headline metrics and tasks, in `unit`. `cases` and
    `training` are the parts of its variance; `training` is unknown (no degrees of freedom) with one seed.
    """

    difference: Floats
    cases: Part
    training: Part
    training_weight: Floats
    unit: str

    @property
    def parts(self) -> list[Part]:
        """Return what the limits rest on: cases and trainings, or cases alone where the trainings are unknown."""
        return [self.cases, self.training] if self.retrained else [self.cases]

    @property
    def retrained(self) -> bool:
        """Tell whether the pairs can be judged as losses trained again: some fold has two or more seeds."""
        return bool((self.training.df > 0).all())

    def limits(self, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Return the interval of each difference on its own, two-sided."""
        half = half_width((1 - confidence) / 2, self.parts)
        return self.difference - half, self.difference + half

    def p_retrained(self) -> Floats:
        """Return one-sided p-values that i is better than j when both are trained again; NaN with one seed."""
        return _open_diagonal(p_value(self.difference, [self.cases, self.training]))

    def chance_false(self) -> Floats:
        """Return the probability that i is not truly better than j, from a flat prior and normal noise."""
        return _open_diagonal(p_value(self.difference, self.parts))

    def tipping_point(self, alpha: float) -> Floats:
        """Return the largest run-to-run standard deviation under which "i differs from j" would still hold.

        The statement is the two-sided one of `limits`, at `alpha` divided by the number of pairs, with a training
        noise that is known; 0 where it does not hold without any training noise either.
        """
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
    mixed = len({cell.metric for cell in cells}) > 1 and not all(cell.measure.is_share for cell in cells)
    parts = [
        _task(own, training_noise(own) if noise is None else noise[task], first, second, mixed)
        for task, own in tasks.items()
    ]
    share = 1 / len(parts)
    difference = share * np.sum([part[0] for part in parts], axis=0)
    cases = Part.total([Part(share**2 * part[1].variance, part[1].df) for part in parts])
    training = Part.total([Part(share**2 * part[2].variance, part[2].df) for part in parts])
    weight = share**2 * np.sum([part[3] for part in parts], axis=0)
    size = len(cells[0].losses)
    return Pairs(
        difference=_square(difference, size, -difference),
        cases=Part(_square(cases.variance, size), _square(cases.df, size, fill=np.inf)),
        training=Part(_square(training.variance, size), _square(training.df, size, fill=np.inf)),
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
    size = np.where(rounded == 0, np.inf, np.abs(rounded))
    return np.asarray(np.where(rounded == 0, 0, np.sign(rounded) * rankdata(size, axis=1)) / rounded.shape[1])


def _task(
    cells: Sequence[Cell], noise: TrainingNoise, first: NDArray[np.intp], second: NDArray[np.intp], mixed: bool
) -> tuple[Floats, Part, Part, Floats]:
    """Return the pairs' mean difference in one task, its two variances, and how run-to-run variance enters it."""
    differences = np.stack([cell.oriented[first] - cell.oriented[second] for cell in cells])
    weights = _weights(differences, mixed)
    combined = np.sum(weights[:, :, None] * differences, axis=0)
    count = combined.shape[1]

    spread = combined.var(axis=1, ddof=1) / count if count > 1 else np.full(len(first), np.nan)
    runs = noise.weights[first] + noise.weights[second]
    variance = np.einsum("mp,mn,np->p", weights, noise.interaction, weights)
    return (
        combined.mean(axis=1),
        Part(spread, np.full(len(first), count - 1.0)),
        Part(variance * runs, np.full(len(first), noise.df)),
        runs,
    )


def _weights(differences: Floats, mixed: bool) -> Floats:
    """Weigh (metrics, pairs, cases) differences: all metrics alike, in their unit or in standard deviations."""
    scale = np.ones(differences.shape[:2])
    if mixed and differences.shape[2] > 1:
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
