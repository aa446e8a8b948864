"""The one thing handed to a training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossodyssey.losses import words
from lossodyssey.losses.algebra import parse
from lossodyssey.losses.arrays import outputs, plain
from lossodyssey.losses.ignored import Ignore, canonical
from lossodyssey.losses.loss import Loss
from lossodyssey.losses.pair import Link

OWN = ("link", "ignore", "scales")


class Criterion(nn.Module):
    """A loss with everything that a training loop says once: link, ignore label, scales of deep supervision.

    Args:
        loss: a loss, or its text (`"Dice() + CrossEntropy()"`).
        link: "softmax" for exclusive classes, "sigmoid" for one region per channel.
        ignore: label of voxels that do not count, or several.
        scales: weight of each scale where the network returns a list of logits, finest first; default 1, 1/2, 1/4 ...
            The weights are divided by their sum; a scale of weight 0 is not computed.

    Called with logits (N, C, *S) and a target, or a list of logits and either one target (brought to each scale by
    its nearest voxels) or a list of targets. `spacing` (of the finest scale), `weight` and `maps` as for `Pair`.

    A dictionary of outputs, {"out": ..., "aux": ...} as torchvision's, is taken as such a list, "out" (or "logits")
    first: by default "aux" weighs half of "out". To train on one of several, hand that one over.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        scales: Sequence[float] | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__()
        if foreign:
            words.refuse("Criterion", foreign, (), OWN)
        self.loss = parse(loss) if isinstance(loss, str) else loss
        self.link: Link = link
        self.ignore = canonical(ignore)
        self.scales = None if scales is None else _normalised(scales)

    def forward(
        self,
        logits: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
        target: Tensor | Sequence[Tensor],
        *,
        weight: Tensor | None = None,
        spacing: Sequence[float] | None = None,
        maps: Mapping[str, Tensor] | None = None,
        **foreign: Any,
    ) -> Tensor:
        """Scalar loss; for a list of logits the weighted mean over the scales."""
        calls = self._calls(logits, target, weight=weight, spacing=spacing, maps=maps, **foreign)
        values = [share * self.loss(z, truth, **context) for share, z, truth, context in calls]
        total: Tensor = sum(values[1:], values[0])
        return total

    def summands(self, logits: Any, target: Any, **context: Any) -> dict[str, Tensor]:
        """Compute the weighted value of each term of the loss by its text, over all scales; together they are the loss.

        To be called instead of the criterion where every term is logged: the loss is `sum(summands.values())`.
        `context` is what a call takes beside logits and target.
        """
        total: dict[str, Tensor] = {}
        for share, z, truth, own in self._calls(logits, target, **context):
            for text, value in self.loss.summands(z, truth, **own).items():
                total[text] = total[text] + share * value if text in total else share * value
        return total

    def _calls(
        self,
        logits: Any,
        target: Any,
        *,
        weight: Any = None,
        spacing: Sequence[float] | None = None,
        maps: Mapping[str, Tensor] | None = None,
        **foreign: Any,
    ) -> Iterator[tuple[float, Tensor, Any, dict[str, Any]]]:
        """For every scale that counts: its share, and what the loss is called with."""
        if foreign:
            words.refuse("Criterion", foreign, OWN, ("weight", "spacing", "maps"))
        scales = outputs(logits)
        truths = _truths(target, scales)
        shares = self._shares(len(scales), len(truths))
        weight = None if weight is None else plain("weight", weight, like=scales[0])
        finest = scales[0].shape[2:]
        for share, z, truth in zip(shares, scales, truths, strict=True):
            full = z.shape[2:] == finest
            context = {
                "link": self.link,
                "ignore": self.ignore,
                "weight": weight if weight is None or full else _at_scale(weight, z),
                "spacing": None if spacing is None else _coarser(spacing, finest, z.shape[2:]),
                "maps": maps if full else None,
            }
            if share:
                yield share, z, truth, context

    def _shares(self, outputs: int, targets: int) -> Sequence[float]:
        if outputs == 0:
            raise ValueError("logits hold no output, expected a tensor (N, C, *S), or several")
        if outputs != targets:
            raise ValueError(f"logits come in {outputs} scales, target in {targets}; expected one target per scale")
        shares = _normalised([0.5**k for k in range(outputs)]) if self.scales is None else self.scales
        if len(shares) != outputs:
            raise ValueError(f"scales has {len(shares)} weights, but logits come in {outputs} scales")
        return shares

    def __repr__(self) -> str:
        extras = [f"link={self.link!r}"] if self.link != "softmax" else []
        extras += [f"ignore={self.ignore}"] if self.ignore is not None else []
        extras += [f"scales={tuple(self.scales)}"] if self.scales is not None else []
        return f"Criterion({', '.join([repr(self.loss), *extras])})"


def _normalised(scales: Sequence[float]) -> list[float]:
    total = sum(scales)
    if not total > 0 or min(scales) < 0:
        raise ValueError(f"scales is {tuple(scales)}, expected weights of 0 or more, at least one above 0")
    return [weight / total for weight in scales]


def _truths(target: Any, scales: Sequence[Tensor]) -> list[Any]:
    """One target per scale: those of a list, or one brought to each scale."""
    if isinstance(target, list | tuple) and any(isinstance(truth, Tensor | np.ndarray) for truth in target):
        return list(target)
    return [_at_scale(plain("target", target, like=logits), logits) for logits in scales]


def _at_scale(values: Tensor, logits: Tensor) -> Tensor:
    """`values` with the spatial shape of `logits`, by nearest voxel; an axis of one voxel stays as it is."""
    space = logits.shape[2:]
    for axis, size in enumerate(space, max(values.ndim - len(space), 0)):
        if axis < values.ndim and values.shape[axis] not in (1, size):
            middles = torch.arange(1, 2 * size, 2, device=values.device)
            values = values.index_select(axis, middles * values.shape[axis] // (2 * size))
    return values


def _coarser(spacing: Sequence[float], finest: Sequence[int], space: Sequence[int]) -> list[float]:
    return [step * fine / coarse for step, fine, coarse in zip(spacing, finest, space, strict=True)]
