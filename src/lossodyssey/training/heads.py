"""Networks that make maps beside their logits, for losses that ask for them (`Loss.heads`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lossodyssey.core.heads import split

Weights = Mapping[str, Tensor]


class HeadsApart:
    """Takes the heads off the network's output: callers see the logits alone, and the loss asks for the heads.

        apart = HeadsApart(network, classes=3, names=["signed_share"])
        logits = network(images)
        criterion(logits, labels, heads=apart.taken())

    So inference, validation and export need not know that the network has more channels. The heads are those of the
    last call, for one scale or as a list for every scale of deep supervision.
    """

    def __init__(self, network: nn.Module, classes: int, names: Sequence[str]) -> None:
        self.classes, self.names = classes, tuple(names)
        self.heads: list[dict[str, Tensor]] = []
        network.register_forward_hook(self)

    def __call__(self, network: nn.Module, inputs: Any, output: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Keep the heads of an output, and return its logits."""
        scales = [output] if isinstance(output, Tensor) else list(output)
        parts = [split(scale, self.classes, self.names) for scale in scales]
        self.heads = [heads for _, heads in parts]
        logits = [each for each, _ in parts]
        return logits[0] if isinstance(output, Tensor) else logits

    def taken(self) -> list[dict[str, Tensor]]:
        """Return the heads of the last call scale by scale, and let go of them."""
        heads, self.heads = self.heads, []
        return heads


def begin_as(wide: nn.Module, narrow: nn.Module) -> None:
    """Give a network with heads the weights of one without them: its logits are then the same."""
    wide.load_state_dict(widened(narrow.state_dict(), wide.state_dict()))


def widened(narrow: Weights, wide: Weights) -> dict[str, Tensor]:
    """Return the weights `wide` of a network with heads, those for the logits out of a network without them.

    Raises:
        ValueError: weights that differ in more than the number of channels of the last layers.
    """
    filled = {key: own.clone() for key, own in wide.items()}
    for key, own in filled.items():
        known = narrow.get(key)
        if known is None or not _fits(known.shape, own.shape):
            shape = None if known is None else tuple(known.shape)
            raise ValueError(f"{key}: weights of shape {shape}, expected {tuple(own.shape)} or those without heads")
        own[_corner(known.shape)] = known
    return filled


def narrowed(wide: Weights, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return the weights for the logits alone, in `shapes`, of a network with heads."""
    return {key: own[_corner(shapes[key])].clone() for key, own in wide.items()}


def _fits(narrow: torch.Size, wide: torch.Size) -> bool:
    """Return whether a shape is the other, except for one axis that is shorter by a whole factor."""
    if len(narrow) != len(wide):
        return False
    other = [(few, many) for few, many in zip(narrow, wide, strict=True) if few != many]
    return len(other) <= 1 and all(few and many % few == 0 for few, many in other)


def _corner(shape: torch.Size) -> tuple[slice, ...]:
    return tuple(slice(length) for length in shape)
