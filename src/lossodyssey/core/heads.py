"""Heads: maps of numbers per class that a network makes beside its logits, for the losses that ask for them.

A network with C classes and H heads returns C (1 + H) channels: the logits of all classes, then each head's maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossodyssey.core.arrays import plain
from lossodyssey.core.context import Context
from lossodyssey.core.entries import given_of_scale

if TYPE_CHECKING:
    from lossodyssey.core.loss import Loss


def split(output: Tensor, classes: int, names: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits (N, C, *S) and the heads (N, C, *S) by name, of an output (N, C (1 + H), *S) of a network.

    Raises:
        ValueError: another number of channels.
    """
    wanted = classes * (1 + len(names))
    if output.shape[1] != wanted:
        beside = f", and as many for {' and '.join(names)}" if names else ""
        raise ValueError(
            f"logits have {output.shape[1]} channels, expected {wanted}: {classes} for the classes{beside}; let the "
            "last layer of the network have that many"
        )
    logits, *maps = torch.split(output, classes, 1)
    return logits, dict(zip(names, maps, strict=True))


def read_head(context: Context, name: str, logits: Tensor, asker: str) -> Tensor:
    """Return a head of the call as (N, C, V).

    Raises:
        ValueError: the call has none of this name, or one of another shape.
    """
    given: Any = given_of_scale(context.heads, name)
    n, c, *space = logits.shape
    if given is None:
        raise ValueError(
            f"{asker} asks for maps beside the logits, and the call has none: let the network have {2 * c} channels "
            f"and say Criterion(loss, classes={c}), or give heads={{{name!r}: maps}}, {(n, c, *space)}"
        )
    found = plain(f"heads[{name!r}]", given, like=logits)
    if found.shape != logits.shape:
        raise ValueError(f"heads[{name!r}] has shape {tuple(found.shape)}, expected that of logits, {(n, c, *space)}")
    return found.flatten(2)


def made_up(loss: Loss, logits: Tensor) -> dict[str, Tensor]:
    """Return heads of zeros for the logits, to try a loss without a network."""
    return {name: torch.zeros_like(logits) for name in loss.heads().values()}
