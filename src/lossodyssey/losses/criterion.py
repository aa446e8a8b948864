"""The one thing handed to a training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lossodyssey.losses.algebra import parse
from lossodyssey.losses.loss import Loss
from lossodyssey.losses.pair import Link


class Criterion(nn.Module):
    """A loss with everything that a training loop says once: link, ignore label, scales of deep supervision.

    Args:
        loss: a loss, or its text (`"Dice() + CrossEntropy()"`).
        link: "softmax" for exclusive classes, "sigmoid" for one region per channel.
        ignore: label of voxels that do not count.
        scales: weight of each scale where the network returns a list of logits, finest first; default 1, 1/2, 1/4 ...
            The weights are divided by their sum; a scale of weight 0 is not computed.

    Called with logits (N, C, *S) and a target, or a list of logits and either one target (brought to each scale by
    its nearest voxels) or a list of targets. `spacing` (of the finest scale), `weight` and `maps` as for `Pair`.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        link: Link = "softmax",
        ignore: int | None = None,
        scales: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.loss = parse(loss) if isinstance(loss, str) else loss
        self.link: Link = link
        self.ignore = ignore
        self.scales = None if scales is None else _normalised(scales)

    def forward(
        self,
        logits: Tensor | Sequence[Tensor],
        target: Tensor | Sequence[Tensor],
        *,
        weight: Tensor | None = None,
        spacing: Sequence[float] | None = None,
        maps: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Scalar loss; for a list of logits the weighted mean over the scales."""
        calls = self._calls(logits, target, weight=weight, spacing=spacing, maps=maps)
        values = [share * self.loss(z, truth, **context) for share, z, truth, context in calls]
        total: Tensor = sum(values[1:], values[0])
        return total

    def summands(
        self,
        logits: Tensor | Sequence[Tensor],
        target: Tensor | Sequence[Tensor],
        *,
        weight: Tensor | None = None,
        spacing: Sequence[float] | None = None,
        maps: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the weighted value of each term of the loss by its text, over all scales; together they are the loss.

        To be called instead of the criterion where every term is logged: the loss is `sum(summands.values())`.
        """
        total: dict[str, Tensor] = {}
        for share, z, truth, context in self._calls(logits, target, weight=weight, spacing=spacing, maps=maps):
            for text, value in self.loss.summands(z, truth, **context).items():
                total[text] = total[text] + share * value if text in total else share * value
        return total

    def _calls(
        self,
        logits: Tensor | Sequence[Tensor],
        target: Tensor | Sequence[Tensor],
        *,
        weight: Tensor | None,
        spacing: Sequence[float] | None,
        maps: Mapping[str, Tensor] | None,
    ) -> Iterator[tuple[float, Tensor, Tensor, dict[str, Any]]]:
        """For every scale that counts: its share, and what the loss is called with."""
        if isinstance(logits, Tensor):
            logits = [logits]
        if isinstance(target, Tensor):
            target = [_at_scale(target, scale) for scale in logits]
        shares, finest = self._shares(len(logits), len(target)), logits[0].shape[2:]
        for share, z, truth in zip(shares, logits, target, strict=True):
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


def _at_scale(target: Tensor, logits: Tensor) -> Tensor:
    """`target` with the spatial shape of `logits`, by nearest voxel."""
    space = logits.shape[2:]
    if target.shape[-len(space) :] == space:
        return target
    channels = target if target.ndim == logits.ndim else target[:, None]
    resized = F.interpolate(channels.double(), space, mode="nearest-exact").to(target.dtype)
    return resized if target.ndim == logits.ndim else resized[:, 0]


def _coarser(spacing: Sequence[float], finest: Sequence[int], space: Sequence[int]) -> list[float]:
    return [step * fine / coarse for step, fine, coarse in zip(spacing, finest, space, strict=True)]
