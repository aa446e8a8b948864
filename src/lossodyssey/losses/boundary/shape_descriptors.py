"""Shape descriptors: a few numbers about a region that must lie between bounds."""

from __future__ import annotations

from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import Fraction, NonNegative, Positive
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.schedules import Geometric, Schedule
from lossodyssey.losses.boundary.descriptors import Shape

RISING = Geometric(1, 100)
"""The default of `t`."""


class ShapeDescriptors(
    GridLoss,
    paper="kervadec2021",
    range=(-inf, inf),
    alone=False,
    monotone=False,
    aliases=("ShapeDescriptor", "ShapeConstraints"),
):
    r"""Shape descriptors: size, place, extent and contour length of each class must be near those of the truth.

    $\frac{1}{|\Omega|} \sum_d \psi(d(s) - \overline{d}) + \psi(\underline{d} - d(s))$ per sample and class, over the
    `size` $V = \sum_i s_i$; per axis the `centroid` $c = \sum_i x_i s_i / V$ and the `spread`
    $\sqrt{\sum_i s_i (x_i - c)^2 / V}$; and the `length`, the sum of $(s_i - s_j)^2$ over neighbours by face, edge or
    corner. The bounds $\underline{d}, \overline{d}$ are those of the truth minus and plus a margin: the fraction
    `size` or `length` of it, the distance `centroid` or `spread`, or a fraction of these, too, with `relative=True`.
    None leaves a descriptor out.

    For weak supervision, where such numbers are all that is known of an organ, or as a prior beside a region loss. It
    asks for no voxel in particular, and says nothing within the margins. A class that is absent has a size and a length
    of 0, while its centroid and spread are left out; the authors' code draws these to the image's corner.

    `penalty="barrier"` is $-\log(-z) / t$ for z up to $-1/t^2$ and its tangent beyond, which is below 0 well within
    wide bounds. The authors let t grow from 1 by a tenth per epoch; here it grows to 100 over the whole training,
    which is our choice, and a number keeps it constant. `penalty="quadratic"` is $\max(z, 0)^2$, 0 within the bounds,
    and has no t. With a `spacing` sizes, distances and lengths are in its units; the length is an area in a volume.
    The authors' files write a margin of 10 for the length, up to eleven times the true one; a tenth is ours. The length
    keeps maps of the neighbours' sums, in all about six times the memory of the logits.
    """

    size: Fraction | None = 0.1
    centroid: NonNegative | None = 20.0
    spread: NonNegative | None = 20.0
    length: Fraction | None = 0.1
    relative: bool = False
    penalty: Literal["barrier", "quadratic"] = "barrier"
    t: Positive | Schedule = RISING

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()
        if isinstance(self.t, Schedule):
            self.register_buffer("progress", torch.zeros((), dtype=torch.float64), persistent=False)

    def _check(self) -> None:
        """Raise ValueError where nothing is constrained, for options without an effect, and for a t that reaches 0."""
        if not self.margins():
            raise ValueError("ShapeDescriptors constrains nothing: give a margin for size, centroid, spread or length")
        if self.relative and self.centroid is None and self.spread is None:
            raise ValueError("ShapeDescriptors.relative has an effect on centroid and spread, and both are None")
        if self.penalty == "quadratic" and self.t != RISING:
            raise ValueError(f'ShapeDescriptors.t is {self.t}, but penalty="quadratic" has none: leave it out')
        if isinstance(self.t, Schedule) and self.t.ends[0] <= 0:
            raise ValueError(f"ShapeDescriptors.t is {self.t}, expected a schedule that stays above 0")

    def margins(self) -> dict[str, float]:
        """Return the margin of each descriptor that is constrained."""
        given = {name: getattr(self, name) for name in ("size", "centroid", "spread", "length")}
        return {name: margin for name, margin in given.items() if margin is not None}

    def advance(self, progress: float) -> None:
        if isinstance(self.t, Schedule):
            self.get_buffer("progress").fill_(progress)

    def formula(self, s: Tensor, g: Tensor, valid: Tensor, spacing: Tensor) -> Tensor:
        found, true = Shape(s, valid, spacing), Shape(g, valid, spacing)
        total = torch.zeros_like(true.size[..., 0])
        for name, margin in self.margins().items():
            placed = name in ("centroid", "spread")
            wanted = getattr(true, name)
            width = wanted * margin if self.relative or not placed else margin
            costs = self.costs(getattr(found, name) - wanted, width).sum(2)
            total = total + (torch.where(true.size[..., 0] > 0, costs, 0) if placed else costs)
        return total / valid.flatten(2).sum(2).clamp(min=1)

    def costs(self, excess: Tensor, width: Tensor | float) -> Tensor:
        """Return the penalty of descriptors that exceed the true ones by `excess`, where +- `width` is allowed."""
        above, below = excess - width, -excess - width
        if self.penalty == "quadratic":
            return above.clamp(min=0) ** 2 + below.clamp(min=0) ** 2
        t = self.t(self.get_buffer("progress")) if isinstance(self.t, Schedule) else excess.new_tensor(self.t)
        return barrier(above, t) + barrier(below, t)


def barrier(z: Tensor, t: Tensor) -> Tensor:
    """Return the extended log barrier of z <= 0: -log(-z) / t up to -1 / t^2, and its tangent from there on."""
    within = z <= -(t**-2)
    # `where` would pass the NaN gradient of the logarithm that is not taken.
    logarithm = -torch.where(within, -z, 1).log() / t
    return torch.where(within, logarithm, t * z + (2 * t.log() + 1) / t)
