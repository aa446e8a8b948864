"""A loss under nnU-Net's conventions for outputs and targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lossodyssey import Criterion, Loss
from lossodyssey.core.fields import declared
from lossodyssey.core.heads import made_up
from lossodyssey.training.heads import HeadsApart


class PlanLoss(nn.Module):
    """Called as `loss(output, target)`, each a tensor, or with deep supervision a list of them, finest first.

    Args:
        loss: the loss.
        regions: whether every output channel is a region; the target is then boolean (N, regions, *S), with one
            channel more where `ignore` is set, else labels (N, 1, *S).
        ignore: label of the voxels that do not count.
        spacing: size of a voxel along each axis.
        scales: weight of each scale under deep supervision.
        apart: takes the heads off the network's output, where the loss asks for some.
    """

    def __init__(
        self,
        loss: Loss,
        *,
        regions: bool = False,
        ignore: int | None = None,
        spacing: Sequence[float] | None = None,
        scales: Sequence[float] | None = None,
        apart: HeadsApart | None = None,
    ) -> None:
        super().__init__()
        self.masked = regions and ignore is not None
        self.criterion = Criterion(
            loss, link="sigmoid" if regions else "softmax", ignore=None if regions else ignore, scales=scales
        )
        self.spacing, self.apart = spacing, apart
        self.entries: dict[str, Any] = {}

    @contextmanager
    def told(self, **entries: Any) -> Iterator[None]:
        """Add entries to the context of every call inside: nnU-Net calls its loss with output and target alone."""
        self.entries = entries
        try:
            yield
        finally:
            self.entries = {}

    def forward(self, output: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]) -> Tensor:
        """Return the scalar loss."""
        weight = None
        if self.masked:
            targets = [target] if isinstance(target, Tensor) else target
            weight = targets[0][:, -1:] == 0
            target = [each[:, :-1] for each in targets]
        heads = self.apart.taken() if self.apart and "heads" not in self.entries else None
        given: dict[str, Any] = {"heads": heads, "weight": weight, "spacing": self.spacing, **self.entries}
        value: Tensor = self.criterion(output, target, **given)
        return value


def check_fit(loss: PlanLoss, channels: int, dimensions: int, image_channels: int = 1) -> None:
    """Compute the loss of one made-up scale, before data are loaded.

    Raises:
        ValueError: the loss cannot be used; the text says why.
    """
    space = (8,) * dimensions
    output = torch.zeros(2, channels, *space)
    regions = loss.criterion.link == "sigmoid"
    target = torch.zeros(2, channels + loss.masked if regions else 1, *space, dtype=torch.int16)
    scales = len(loss.criterion.scales or [1.0])
    try:
        # Without gradients: a pair that is made up must not enter the means behind a ratio.
        heads = [made_up(loss.criterion.loss, output)] * scales
        with torch.no_grad(), loss.told(image=torch.zeros(2, image_channels, *space), heads=heads):
            loss([output] * scales, [target] * scales)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"loss {loss.criterion.loss!r} does not fit this configuration: {error}") from None


def pooled(loss: Loss) -> Loss:
    """Return a copy whose overlap terms pool the batch (`batch=True`), or the loss itself where it has none."""
    has_field = any(field.name == "batch" for _, leaf in loss.terms for field in declared(type(leaf)))
    return loss.but(batch=True) if has_field else loss


def scale_weights(scales: int, *, lowest: float) -> list[float]:
    """Return nnU-Net's weights 1, 1/2, 1/4 ..., but `lowest` (0, or nearly) for the coarsest of several scales."""
    weights = [0.5**k for k in range(scales)]
    return weights if scales == 1 else [*weights[:-1], lowest]
