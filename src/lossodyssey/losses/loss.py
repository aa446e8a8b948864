"""The four kinds of loss.

A loss is a class with annotated fields and a formula. Naming a base class turns the fields into a keyword-only
constructor that checks them, makes `repr` the call that rebuilds the object, and files the class in the atlas:

    class Focal(VoxelLoss, paper="lin2017", range=(0, inf)):
        gamma: NonNegative = 2.0

        def formula(self, log_p, labels):
            return -((1 - log_p.exp()) ** self.gamma) * log_p

The base owns what happens before the formula (the pair and its one pass over the logits) and after it (voxels that
count, classes, background, batch, mean).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import Self, dataclass_transform

from lossodyssey.kernels import MapTerm, Request, VoxelTerm
from lossodyssey.losses import atlas, fields, words
from lossodyssey.losses.counts import Counts
from lossodyssey.losses.fields import ClassWeights, NonNegative
from lossodyssey.losses.ignored import Ignore
from lossodyssey.losses.pair import Link, Pair

if TYPE_CHECKING:
    from lossodyssey.losses.algebra import Sum
    from lossodyssey.losses.schedules import Weight


CALL = ("link", "ignore", "weight", "spacing", "maps")
"""The keywords of a call."""


@dataclass_transform(kw_only_default=True)
class Loss(nn.Module):
    """Abstract: a loss that sees the whole pair (`of`) and returns a scalar."""

    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    needs: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls,
        *,
        paper: str = "",
        range: tuple[float, float] | None = None,
        alone: bool = True,
        needs: tuple[str, ...] = (),
        abstract: bool = False,
        aliases: atlas.Aliases = (),
    ) -> None:
        super().__init_subclass__()
        dataclass(kw_only=True, repr=False, eq=False)(cls)
        cls.range = range or cls.range
        cls.needs = needs or cls.needs
        if not abstract:
            atlas.file_class(cls, paper, cls.range, alone, cls.needs, aliases)

    def __new__(cls, *args: Any, **hyper_parameters: Any) -> Self:
        if hyper_parameters:
            fields.check_names(cls.__name__, list(hyper_parameters), [f.name for f in fields.declared(cls)])
        self = super().__new__(cls)
        nn.Module.__init__(self)
        return self

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields.declared(type(self))}
        for name, value in fields.check_values(type(self).__name__, type(self), values).items():
            setattr(self, name, value)

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        weight: Tensor | None = None,
        spacing: Sequence[float] | None = None,
        maps: Mapping[str, Tensor] | None = None,
        **foreign: Any,
    ) -> Tensor:
        """Scalar loss of logits (N, C, *S) against labels, one-hot, soft labels or regions; see `Pair`."""
        self.check_call(foreign)
        pair = Pair(
            logits,
            target,
            link=link,
            ignore=ignore,
            weight=weight,
            spacing=spacing,
            maps=maps,
            losses=[leaf for _, leaf in self.terms],
        )
        with torch.autocast(pair.logits.device.type, enabled=False):
            return self.of(pair).to(pair.dtype)

    def summands(self, logits: Tensor, target: Tensor, **context: Any) -> dict[str, Tensor]:
        """Compute the weighted value of each term by its text; together they are the loss.

        `context` is what a call takes beside logits and target. A loss that is no sum is its own only term.
        """
        self.check_call([name for name in context if name not in CALL])
        pair = Pair(logits, target, losses=[leaf for _, leaf in self.terms], **context)
        with torch.autocast(pair.logits.device.type, enabled=False):
            return {text: value.to(pair.dtype) for text, value in self.values_by_text(pair).items()}

    def check_call(self, foreign: Collection[str]) -> None:
        """Raise ValueError for keywords that a call does not take, with what to write instead of the first."""
        if foreign:
            own = [field.name for field in fields.declared(type(self))]
            words.refuse(type(self).__name__, foreign, own, CALL)

    def of(self, pair: Pair) -> Tensor:
        """The loss of one pair, a scalar."""
        raise NotImplementedError("abstract")

    def values_by_text(self, pair: Pair) -> dict[str, Tensor]:
        """The weighted value of each term by its text."""
        return {repr(self): self.of(pair)}

    def ask(self, pair: Pair, request: Request) -> None:
        """Add what this loss needs to the one pass over the logits: nothing, for a free-form loss."""

    def map_options(self) -> dict[str, Any]:
        """How the maps that this loss needs are to be computed: keyword arguments of the functions in `MAPS`."""
        return {}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        """The maps that this loss needs, constants (N, C, V), or (N, 1, V) where the labels make one map."""
        return tuple(pair.map(kind, **self.map_options()) for kind in self.needs)

    def advance(self, progress: float) -> None:
        """Move the schedules, if there are any, to `progress` in 0..1."""

    @property
    def terms(self) -> list[tuple[Weight, Loss]]:
        """The weighted summands: a loss that is no sum is its own only term."""
        return [(1.0, self)]

    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return self.range

    def but(self, **changes: Any) -> Self:
        """A copy with fields changed throughout; ValueError when no summand has such a field."""
        return type(self)(**{f.name: getattr(self, f.name) for f in fields.declared(type(self))} | changes)

    def __repr__(self) -> str:
        return fields.constructor_text(self)

    def __add__(self, other: Loss) -> Sum:
        from lossodyssey.losses.algebra import add

        return add(self, other)

    def __radd__(self, other: Any) -> Loss:
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, weight: Weight) -> Sum:
        from lossodyssey.losses.algebra import scale

        return scale(weight, self)

    __rmul__ = __mul__


class VoxelLoss(Loss, abstract=True):
    """Abstract: the mean over voxels of `formula(log_p, labels, *maps)`.

    `log_p` is the log-probability of the true class, `labels` that class (under sigmoid: per channel, of the true
    state and 0 or 1); `class_weights` multiply each voxel by its class's weight, and the mean divides by the number
    of voxels, or with `normalization="weights"` by the sum of the weights, as `torch.nn.CrossEntropyLoss` does.
    """

    class_weights: ClassWeights = None
    normalization: Literal["voxels", "weights"] = "voxels"

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """One value per voxel."""
        raise NotImplementedError("abstract")

    def values(self, log_p: Tensor, labels: Tensor, classes: Tensor, *maps: Tensor) -> Tensor:
        """The formula times the class weights."""
        return weighted_by_class(self.formula(log_p, labels, *maps), classes, self.class_weights)

    def ask(self, pair: Pair, request: Request) -> None:
        check_class_weights(self, pair)
        request.voxel_terms.append(VoxelTerm(self, self.values, self.maps(pair)))

    def of(self, pair: Pair) -> Tensor:
        statistics = pair.statistics(self)
        per_class = statistics.truths.sum(0)
        if pair.sigmoid:
            per_class = statistics.voxels.sum(0).expand(pair.classes)
        if self.normalization == "weights" and self.class_weights is not None:
            per_class = per_class * per_class.new_tensor(self.class_weights)
        return quotient(pair.term(self), per_class.sum())


class OverlapLoss(Loss, abstract=True):
    """Abstract: the mean over units and classes of `formula`, a function of counts per unit and class.

    A unit is a sample, or with `batch=True` the whole batch (over all processes of a distributed training). The
    formula names the counts it wants (see `Counts`); it returns (units, classes), or (units, 1) for one ratio over
    all classes. `smooth` is its to use; `absent="skip"` leaves classes without true voxels out of the mean. Where no
    voxel of a unit counts, its classes are left out.
    """

    background: bool = False
    batch: bool = False
    smooth: NonNegative = 1e-5
    absent: Literal["smooth", "skip"] = "smooth"
    class_weights: ClassWeights = None

    wants: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **facts: Any) -> None:
        cls.wants = tuple(inspect.signature(cls.formula).parameters)[1:]
        super().__init_subclass__(**facts)

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """(units, classes) or (units, 1), a function of the counts that its arguments name."""
        raise NotImplementedError("abstract")

    def ask(self, pair: Pair, request: Request) -> None:
        check_class_weights(self, pair)
        request.table = True
        # A loss with a field `square` wants the squared sums only when it is set.
        request.squares |= bool({"s2", "tp2"} & set(self.wants)) and getattr(self, "square", True)

    def of(self, pair: Pair) -> Tensor:
        first = pair.first_class(self.background)
        counts = Counts.of(pair.statistics(self), first=first, batch=self.batch, has_background=not pair.sigmoid)
        values = self.formula(*(getattr(counts, name) for name in self.wants))
        counted = counts.n if values.shape[1] > 1 else counts.n.amax(1, keepdim=True)
        weight = torch.ones_like(values) * (counted > 0)
        if self.class_weights is not None:
            weight = weight * values.new_tensor(self.class_weights)[-counts.g.shape[1] :]
        if self.absent == "skip":
            weight = weight * (counts.g > 0)
        return quotient((values * weight).sum(), weight.sum())


class MapLoss(Loss, abstract=True):
    """Abstract: the mean over voxels and classes of `formula(s, g, *maps)`, one value per voxel and class."""

    background: bool = False

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """One value per voxel and class."""
        raise NotImplementedError("abstract")

    def ask(self, pair: Pair, request: Request) -> None:
        first = pair.first_class(self.background)
        request.map_terms.append(MapTerm(self, self.formula, self.maps(pair), first))

    def is_linear(self) -> bool:
        """Whether the formula is s times the only map, for which the pass has a short way."""
        return False

    def of(self, pair: Pair) -> Tensor:
        voxels = pair.statistics(self).voxels.expand(-1, pair.classes)[:, pair.first_class(self.background) :]
        return quotient(pair.term(self), voxels.sum())


def weighted_by_class(values: Tensor, classes: Tensor, weights: ClassWeights) -> Tensor:
    """Values times the weights of their classes; without weights as they are."""
    return values if weights is None else values * values.new_tensor(weights)[classes]


def quotient(total: Tensor, count: Tensor) -> Tensor:
    """total / count, and 0 with zero gradient where nothing counts."""
    return total / torch.where(count > 0, count, 1)


TINY = 2.0**-100
"""Where sums of probabilities are smaller, the slopes of their ratios may leave the range of float32."""


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole of sums of probabilities, and 0 where both are 0; a constant where the whole is below `TINY`.

    So it is for a class that is absent and all but unpredicted, without `smooth`: the ratio does not change with what
    little is predicted of it, while the quotient's slopes for the part and the whole are too large to cancel.
    """
    tiny = whole < TINY
    constant = (part / torch.where(whole > 0, whole, 1)).detach()
    return torch.where(tiny, constant, part / torch.where(tiny, 1, whole))


def check_class_weights(loss: Loss, pair: Pair) -> None:
    """Raise ValueError unless there is one weight per class, background included, or none at all."""
    weights = getattr(loss, "class_weights", None)
    if isinstance(weights, str):
        raise ValueError(
            f"{loss!r} takes its class weights from the training labels: call with_class_weights(loss, counts) first"
        )
    if weights is not None and len(weights) != pair.classes:
        raise ValueError(
            f"{type(loss).__name__}.class_weights has {len(weights)} numbers, but there are {pair.classes} classes; "
            "give one per class, background first, whatever `background` is"
        )
