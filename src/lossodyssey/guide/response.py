"""How a loss answers when the probability of one voxel moves: the numbers and curves of its page."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.core.loss import Loss


def response(loss: Loss, probabilities: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return values and gradients dL/dp of `loss` for the probabilities p of one voxel's true class.

    The voxel lies inside a 4 x 4 object in an 8 x 8 image of two classes; every other voxel has p = 0.9.
    """
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, 2:6, 2:6] = 1
    found = [_at(loss, labels, p) for p in probabilities]
    return [value for value, _ in found], [gradient for _, gradient in found]


def image_of(labels: Tensor) -> Tensor:
    """Return an image (N, 1, *S) for a loss that looks at one: the truth, seen under some noise."""
    noise = torch.arange(labels.numel(), dtype=torch.float64).sin().reshape(labels.shape)
    return (labels + 0.1 * noise)[:, None]


def _at(loss: Loss, labels: Tensor, probability: float) -> tuple[float, float]:
    moved = torch.tensor(probability, dtype=torch.float64, requires_grad=True)
    foreground = torch.where(labels > 0, 0.9, 0.1).double()
    place = torch.zeros_like(foreground)
    place[0, 3, 3] = 1
    foreground = foreground * (1 - place) + moved * place
    value = loss(torch.stack([1 - foreground, foreground], 1).log(), labels, image=image_of(labels))
    (gradient,) = torch.autograd.grad(value, moved)
    return float(value.detach()), float(gradient)
