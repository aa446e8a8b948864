"""The kinds of loss that are formulas: each base owns the work before its formula and after it.

Before it are the pair and its one pass over the logits; after it the voxels that count, classes, background, batch and
mean. See `views` and `grids` for the kinds that look at other pairs, or at neighbours.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lossodyssey.core.counts import COUNTS, Counts, wants_squares
from lossodyssey.core.fields import ClassWeights, NonNegative
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels import MapSum, MapTerm, Request, VoxelTerm
from lossodyssey.kernels.powers import Factors


class VoxelLoss(Loss, abstract=True):
    """Abstract: the mean over voxels of `formula(log_p, labels, *maps)`.

    `log_p` is the log-probability of the true class, `labels` that class (under sigmoid: per channel, of the true
    state and 0 or 1); `class_weights` multiply each voxel by its class's weight, and the mean divides by the number
    of voxels, or with `normalization="weights"` by the sum of the weights, as `torch.nn.CrossEntropyLoss` does.
    A formula with an argument `classes` after `labels` is also given the class, under sigmoid the channel.

    `powers` may declare the same formula as a sum of powers, which compiled code evaluates faster; a subclass with
    another formula declares its own or goes without.
    """

    class_weights: ClassWeights = None
    normalization: Literal["voxels", "weights"] = "voxels"

    wants_classes: ClassVar[bool] = False

    def __init_subclass__(cls, **facts: Any) -> None:
        cls.wants_classes = "classes" in inspect.signature(cls.formula).parameters
        if "formula" in vars(cls) and "powers" not in vars(cls):
            cls.powers = VoxelLoss.powers  # type: ignore[method-assign]
        super().__init_subclass__(**facts)

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return one value per voxel."""
        raise NotImplementedError("abstract")

    def powers(self, labels: Tensor, classes: Tensor) -> Factors | None:
        """Return the factors, by label and class, of the powers that add up to the formula; None where none do."""
        return None

    def values(
        self, log_p: Tensor, labels: Tensor, classes: Tensor, *maps: Tensor, weights: ClassWeights = None
    ) -> Tensor:
        """Return the formula times the class weights."""
        given = (classes, *maps) if self.wants_classes else maps
        return weighted_by_class(self.formula(log_p, labels, *given), classes, weights)

    def factors(self, labels: Tensor, classes: Tensor, weights: ClassWeights = None) -> Factors | None:
        """Return the factors of the powers times the class weights."""
        powers = self.powers(labels, classes)
        if powers is None or weights is None:
            return powers
        found = {power: torch.as_tensor(factor, dtype=torch.float64) for power, factor in powers.items()}
        return {power: weighted_by_class(factor, classes, weights) for power, factor in found.items()}

    def ask(self, pair: Pair, request: Request) -> None:
        weights = class_weights(self, pair)
        values, factors = partial(self.values, weights=weights), partial(self.factors, weights=weights)
        request.voxel_terms.append(VoxelTerm(self, values, self.maps(pair), factors))

    def check_pair(self, pair: Pair) -> None:
        """Raise ValueError for hyper-parameters that do not fit the pair's classes; by default all fit."""

    def of(self, pair: Pair) -> Tensor:
        self.check_pair(pair)
        statistics, weights = pair.statistics(self), class_weights(self, pair)
        per_class = statistics.truths.sum(0)
        if pair.sigmoid:
            # Under sigmoid every voxel has a true state in every channel.
            per_class = statistics.voxels.sum(0).expand(pair.classes)
        # As torch.nn.CrossEntropyLoss: the sum over the voxels of the weights of their classes.
        if self.normalization == "weights" and weights is not None:
            per_class = per_class * per_class.new_tensor(weights)
        return quotient(pair.term(self), per_class.sum())


class OverlapLoss(Loss, abstract=True):
    """Abstract: the mean over units and classes of `formula`, a function of sums per unit and class.

    A unit is a sample, or with `batch=True` the whole batch (over all processes of a distributed training). The
    formula names the counts it wants (see `Counts`), and for an entry x of `auxiliaries` the sums `s_x` and `g_x` of
    s and g under it; it returns (units, classes), or (units, 1) for one ratio over all classes. It may use `smooth`.
    Where it names a method of the loss, it gets the sum of the values that this method makes of s and g (N, C, V).

    `pooled=True` adds the sums over the classes, each times its weight, before the formula: one ratio over all
    classes, as several papers print it. `absent="skip"` leaves classes without true voxels out. Where no voxel of a
    unit counts, its classes are left out.
    """

    background: bool = False
    batch: bool = False
    pooled: bool = False
    smooth: NonNegative = 1e-5
    absent: Literal["smooth", "skip"] = "smooth"
    class_weights: ClassWeights = None

    wants: ClassVar[tuple[str, ...]] = ()
    own_sums: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **facts: Any) -> None:
        cls.wants = tuple(inspect.signature(cls.formula).parameters)[1:]
        cls.own_sums = tuple(name for name in cls.wants if name not in COUNTS and _own_method(cls, name))
        _check_wants(cls)
        super().__init_subclass__(**facts)

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return (units, classes) or (units, 1), a function of the sums that its arguments name."""
        raise NotImplementedError("abstract")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()

    def _check(self) -> None:
        """Raise ValueError for sums under maps that no auxiliary value makes, and for pooling without a meaning."""
        known = {f"{kind}_{name}" for kind in "sg" for name in self.auxiliaries()}
        for name in self.wants:
            if name not in COUNTS and name not in known and name not in self.own_sums:
                raise ValueError(
                    f"{type(self).__name__}.formula asks for {name!r}, but auxiliaries() has no such entry; sums under "
                    f"maps are {', '.join(sorted(known)) or 'not there'}"
                )
        if self.pooled and "foreground" in self.wants:
            raise ValueError(f"{type(self).__name__}.pooled is True, but the formula tells foreground from background")

    def ask(self, pair: Pair, request: Request) -> None:
        class_weights(self, pair)
        request.table = True
        request.squares |= wants_squares(self)
        first = pair.first_class(self.background)
        request.map_sums += [MapSum(self, found, first) for found in self.maps(pair)]

    def of(self, pair: Pair) -> Tensor:
        own = {name: pair.sums_of(getattr(self, name)) for name in self.own_sums}
        counts = Counts.of(pair, self, first=pair.first_class(self.background), batch=self.batch, own=own)
        counts = counts.weighing(self.weight_of_classes(pair, counts))
        used = counts.pooled() if self.pooled else counts
        values = self.formula(*(used.named(name) for name in self.wants))
        return self.mean(values, counts)

    def weight_of_classes(self, pair: Pair, counts: Counts) -> Tensor:
        """Return the weight of each class of each unit, (units, classes): 0 where it is left out."""
        weight = torch.ones_like(counts.g) if counts.w is None else counts.w
        if (weights := class_weights(self, pair)) is not None:
            weight = weight * weight.new_tensor(weights)[-counts.g.shape[1] :]
        return weight * self.present(counts) if self.absent == "skip" else weight

    def present(self, counts: Counts) -> Tensor:
        """Return which classes are present in which unit, for `absent="skip"`: those with true voxels."""
        return counts.g > 0

    def mean(self, values: Tensor, counts: Counts) -> Tensor:
        """Return the mean of (units, classes) by the weights of the classes, or of one number per unit.

        Raises:
            ValueError: class weights, or absent classes to skip, for a formula that makes one number of all classes
                and does not ask for the weights `w`.
        """
        assert counts.w is not None
        one = values.shape[1] == 1 < counts.g.shape[1]
        if (
            one
            and not self.pooled
            and "w" not in self.wants
            and (self.class_weights is not None or self.absent == "skip")
        ):
            raise ValueError(
                f"{self!r} makes one ratio of all classes, where class_weights and absent have no effect: leave them "
                "out, or let its formula ask for w, (units, classes)"
            )

        # One number of all classes: a unit counts where any of its classes does.
        weight = (counts.n * counts.w > 0).amax(1, keepdim=True) * 1.0 if one else counts.w * (counts.n > 0)
        return quotient((values * weight).sum(), weight.sum())


class LinearLoss(Loss, abstract=True):
    """Abstract: the mean over voxels and classes of a linear function of s and g under one map.

    `formula(s_x, g_x)` is given the sums of s and of g under the only entry x of `auxiliaries`, per sample and class.
    A linear function needs no more than these sums, which the pass over the logits adds up.
    """

    background: bool = False

    def formula(self, s_x: Tensor, g_x: Tensor) -> Tensor:
        """Return the sum over voxels, per sample and class."""
        raise NotImplementedError("abstract")

    def ask(self, pair: Pair, request: Request) -> None:
        first = pair.first_class(self.background)
        request.map_sums += [MapSum(self, found, first) for found in self.maps(pair)]

    def of(self, pair: Pair) -> Tensor:
        first = pair.first_class(self.background)
        voxels = pair.statistics(self).voxels.expand(-1, pair.classes)[:, first:]
        s_x, g_x = (sums[:, first:, 0] for sums in pair.map_sums(self))
        return quotient(self.formula(s_x, g_x).sum(), voxels.sum())


class MapLoss(Loss, abstract=True):
    """Abstract: the mean over voxels and classes of `formula(s, g, *maps)`, one value per voxel and class."""

    background: bool = False

    def formula(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return one value per voxel and class."""
        raise NotImplementedError("abstract")

    def ask(self, pair: Pair, request: Request) -> None:
        request.map_terms.append(MapTerm(self, self.formula, self.maps(pair), pair.first_class(self.background)))

    def of(self, pair: Pair) -> Tensor:
        voxels = pair.statistics(self).voxels.expand(-1, pair.classes)[:, pair.first_class(self.background) :]
        return quotient(pair.term(self), voxels.sum())


def weighted_by_class(values: Tensor, classes: Tensor, weights: ClassWeights) -> Tensor:
    """Return values times the weights of their classes; without weights as they are."""
    return values if weights is None else values * values.new_tensor(weights)[classes]


def quotient(total: Tensor, count: Tensor) -> Tensor:
    """Return total / count, and 0 with zero gradient where nothing counts."""
    # A division by 0 gives NaN gradients even where `where` discards its value.
    return total / torch.where(count > 0, count, 1)


TINY = 2.0**-100
"""Where sums of probabilities are smaller, the gradients of their ratios may leave the range of float32."""


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole of sums of probabilities, and 0 where both are 0; a constant where the whole is below `TINY`.

    This happens, without `smooth`, for a class that is absent and almost unpredicted: the ratio does not change with
    the little that is predicted of it, while the quotient's gradients for the part and the whole are too large to
    cancel.
    """
    tiny = whole < TINY
    # Each branch divides by a safe number: `where` would pass the NaN gradient of the branch not taken.
    constant = (part / torch.where(whole > 0, whole, 1)).detach()
    return torch.where(tiny, constant, part / torch.where(tiny, 1, whole))


def class_weights(loss: Loss, pair: Pair) -> tuple[float, ...] | None:
    """Return the weights of the pair's classes, background included, or None.

    Raises:
        ValueError: another number of weights than classes, or weights still to be made from the training labels.
    """
    weights = getattr(loss, "class_weights", None)
    if weights is None:
        return None
    if isinstance(weights, str):
        raise ValueError(
            f"{loss!r} takes its class weights from the training labels: call with_class_weights(loss, counts) first"
        )
    own = tuple(pair.class_weights(weights))
    if len(own) != pair.classes:
        raise ValueError(
            f"{type(loss).__name__}.class_weights has {len(weights)} numbers, but there are {pair.classes} classes; "
            "give one per class, background first, whatever `background` is"
        )
    return own


def _check_wants(cls: type[OverlapLoss]) -> None:
    """Raise TypeError where a formula asks for an unknown sum; sums under maps are checked when they are made."""
    if cls.formula is OverlapLoss.formula:
        return
    for name in cls.wants:
        if name not in (*COUNTS, *cls.own_sums) and name[:2] not in ("s_", "g_"):
            raise TypeError(
                f"{cls.__name__}.formula asks for {name!r}; expected one of {', '.join(COUNTS)}, s_x or g_x for an "
                "entry x of auxiliaries(), or a method of the loss that makes values (N, C, V) of s and g"
            )


def _own_method(cls: type[OverlapLoss], name: str) -> bool:
    """Return whether a class below `OverlapLoss` defines a method of this name."""
    below = cls.__mro__[: cls.__mro__.index(OverlapLoss)]
    return any(inspect.isfunction(vars(each).get(name)) for each in below)
