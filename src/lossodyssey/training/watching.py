"""Looks at a network while it trains, which change nothing of its training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from lossodyssey.training.settings import Settings

QUARTERS = 4

Watch = Callable[[nn.Module], Sequence[tuple[str, str, float]]]
"""Returns the case, the class and the score of everything that it looks at."""

Validate = Callable[[nn.Module], Sequence[float]]
"""Returns the mean Dice score of each foreground class or region on validation cases; NaN where there is none."""

Seen = tuple[int, str, str, float]
"""Steps done, case, class and score."""


def watched_steps(settings: Settings) -> frozenset[int]:
    """Return the steps after which the network is looked at: quarters of the run, at the ends of epochs."""
    epochs = -(-settings.steps // settings.epoch)
    ends = (-(-quarter * epochs // QUARTERS) * settings.epoch for quarter in range(1, QUARTERS + 1))
    return frozenset(min(end, settings.steps) for end in ends)


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Leave the network's mode and the random state as they are, whatever is done in between."""
    training, device = network.training, next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
    network.train(training)
