"""The learning rate of a step, as a function of the settings and of the losses so far, so nothing need be saved."""

from __future__ import annotations

from collections.abc import Sequence

from lossodyssey.training.settings import Settings

FACTOR, LOWEST = 0.2, 1e-6
INERTIA, IMPROVEMENT = 0.93, 5e-4


def learning_rate(settings: Settings, losses: Sequence[float]) -> float:
    """Return the rate of the step that follows `losses`; after the warm-up it changes only where an epoch begins."""
    return _risen(settings, len(losses)) * _scheduled(settings, losses)


def _risen(settings: Settings, steps: int) -> float:
    return min((steps + 1) / settings.warmup, 1.0) if settings.warmup else 1.0


def _scheduled(settings: Settings, losses: Sequence[float]) -> float:
    epochs = len(losses) // settings.epoch
    if settings.schedule == "poly":
        return settings.learning_rate * float((1 - epochs * settings.epoch / settings.steps) ** 0.9)
    if settings.schedule == "plateau":
        lowest = min(LOWEST, settings.learning_rate)
        return max(settings.learning_rate * FACTOR ** stalls(settings, losses), lowest)
    return settings.learning_rate


def stalls(settings: Settings, losses: Sequence[float]) -> int:
    """Return how often `patience` epochs passed in which the moving average of the loss did not fall."""
    best, average, waited, found = float("inf"), None, 0, 0
    for epoch in range(len(losses) // settings.epoch):
        mean = sum(losses[epoch * settings.epoch : (epoch + 1) * settings.epoch]) / settings.epoch
        average = mean if average is None else INERTIA * average + (1 - INERTIA) * mean
        best, waited = (average, 0) if average < best - IMPROVEMENT else (best, waited + 1)
        if waited >= settings.patience:
            waited, found = 0, found + 1
    return found
