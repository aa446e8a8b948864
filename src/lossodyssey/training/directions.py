"""Two random directions in the space of a network's weights, and the network at a place of the plane they span."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Plane:
    """The plane through the weights of a network along two random directions (Li et al. 2018, section 4).

    Every filter of a direction has the norm of the network's own filter, and biases and weights of normalisation are
    held: a step of 1 then means the same in layers of any scale. Equal seeds give equal directions.
    """

    def __init__(self, network: nn.Module, seed: int = 0) -> None:
        self.network = network
        self.weights = [own.detach().clone() for own in network.parameters()]
        generator = torch.Generator().manual_seed(seed)
        self.directions = [[direction(own, generator) for own in self.weights] for _ in range(2)]

    @contextmanager
    def at(self, first: float, second: float) -> Iterator[nn.Module]:
        """Hand out the network at a place of the plane; afterwards it has its own weights again."""
        try:
            self._set(first, second)
            yield self.network
        finally:
            self._set(0.0, 0.0)

    @torch.no_grad()
    def _set(self, first: float, second: float) -> None:
        for own, centre, a, b in zip(self.network.parameters(), self.weights, *self.directions, strict=True):
            own.copy_(centre + first * a + second * b)


def direction(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random tensor like the weights, filter by filter of the same norm; 0 where there are no filters."""
    if weights.ndim < 2:
        return torch.zeros_like(weights)
    drawn = torch.randn(weights.shape, generator=generator, dtype=torch.float32).to(weights)
    norm: Tensor = weights.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)
    return drawn * norm.reshape(-1, *[1] * (weights.ndim - 1))
