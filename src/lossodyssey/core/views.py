"""Losses that are other losses on another view of the pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self

from lossodyssey.core import fields
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss, changed
from lossodyssey.core.pair import Pair

View = tuple[float | Tensor, Pair]
"""How much a view weighs in the mean, and the pair that the inner loss sees."""


class ViewLoss(Loss, abstract=True):
    """Abstract: the mean of the field `loss` over `views(pair)`, other pairs made of the one that was given.

    Merged classes, other weights, another truth or a part of the samples are the business of `Pair` (`merged`,
    `weighted`, `view`, `of_samples`): a loss of this kind says which views there are, and the weight of each. `outer`
    makes the loss of the mean: a function of it, or the mean and a penalty.
    """

    loss: Loss
    sees_voxels_alone: ClassVar[bool] = True
    in_one_graph: ClassVar[bool] = True

    def __init_subclass__(
        cls, *, local: bool = True, one_graph: bool = True, range: tuple[float, float] | None = None, **facts: Any
    ) -> None:
        default = vars(cls).get("loss")
        cls.sees_voxels_alone, cls.in_one_graph = local, one_graph
        super().__init_subclass__(range=range or (default.bounds() if isinstance(default, Loss) else None), **facts)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss.heads():
            raise ValueError(
                f"{type(self).__name__}.loss is {self.loss!r}, which asks for maps beside the logits; expected a loss "
                "of logits alone, because a view has no other maps"
            )

    def views(self, pair: Pair) -> Iterable[View]:
        """Return the weight and the pair of each view, for `self.inner` as the losses of the pair.

        By default the pair as it is.
        """
        return [(1.0, pair.view(self.inner))]

    def outer(self, value: Tensor, pair: Pair) -> Tensor:
        """Return the loss, given the mean over the views; by default the mean itself."""
        return value

    @property
    def inner(self) -> list[Loss]:
        """The terms of the inner loss, which share one pass over a view's logits."""
        return self.loss.leaves_of_terms()

    def of(self, pair: Pair) -> Tensor:
        total, count = None, torch.zeros((), device=pair.z.device)
        for weight, view in self.views(pair):
            part = weight * self.loss.of(view)
            total, count = part if total is None else total + part, count + weight
        if total is None:  # a constant, with the gradient 0
            total = 0 * pair.z[..., :0].sum(dtype=torch.float64)
        return self.outer(quotient(total, count), pair)

    def bounds(self) -> tuple[float, float]:
        return self.loss.bounds()

    @property
    def local(self) -> bool:  # type: ignore[override]
        return type(self).sees_voxels_alone and self.loss.local

    @property
    def one_graph(self) -> bool:  # type: ignore[override]
        return type(self).in_one_graph and self.loss.one_graph

    @property
    def needs_image(self) -> bool:  # type: ignore[override]
        return self.loss.needs_image

    @property
    def supervised(self) -> bool:  # type: ignore[override]
        return self.loss.supervised

    @property
    def monotone(self) -> bool:  # type: ignore[override]
        return self.loss.monotone

    @property
    def least_at_truth(self) -> bool:  # type: ignore[override]
        return self.loss.least_at_truth

    @property
    def shift_free(self) -> bool:  # type: ignore[override]
        return self.loss.shift_free

    def advance(self, progress: float) -> None:
        """Leave the schedules of the inner loss to itself: `lo.advance` finds every loss inside."""

    def known(self) -> list[str]:
        return list(dict.fromkeys([*super().known(), *self.loss.known()]))

    def but(self, **changes: Any) -> Self:
        """Return a copy with fields changed: those of its own, and the others in the inner loss."""
        names = super().known()
        fields.check_names(type(self).__name__, list(changes), self.known())
        own = {name: value for name, value in changes.items() if name in names}
        rest = {name: value for name, value in changes.items() if name not in names}
        return super().but(**{"loss": changed(self.loss, rest)} | own)
