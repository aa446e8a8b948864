"""Keras 3: all losses on the torch back end, on TensorFlow and JAX those that are formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import torch
from keras import ops

from lossodyssey import Criterion, Loss, card
from lossodyssey.integrations.epochs import advance_to_epoch
from lossodyssey.integrations.keras_array import Array
from lossodyssey.losses.ignored import Ignore, check_ignore, stored
from lossodyssey.losses.loss import OverlapLoss, VoxelLoss
from lossodyssey.losses.pair import Link

TINY = 1e-7


@keras.saving.register_keras_serializable("lossodyssey")
class KerasLoss(keras.losses.Loss):  # type: ignore[misc, unused-ignore]
    """A loss for `model.compile(loss=KerasLoss("AsymmetricUnifiedFocal()"))`.

    Args:
        loss: a loss, or its text.
        from_logits: whether the model returns logits; else probabilities, the habit of Keras.
        link: "softmax" for exclusive classes, "sigmoid" for one region per channel; one channel is always sigmoid.
        ignore: label of voxels that do not count, or several, in sparse targets.

    The model returns (N, *S, C), channels last. The target is one-hot (N, *S, C) or sparse (N, *S) or (N, *S, 1).
    The value is one number for the batch. Outside the torch back end, sums with constant weights of overlap and voxel
    losses are computed, in float32; a ValueError says why another loss is not.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        from_logits: bool = False,
        link: Link = "softmax",
        ignore: Ignore = None,
        name: str = "lossodyssey",
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        self.criterion = Criterion(loss, link=link, ignore=ignore)
        self.from_logits = from_logits
        if keras.backend.backend() != "torch":
            check_formulas(self.criterion.loss)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Scalar loss."""
        link, loss = self.criterion.link, self.criterion.loss
        sigmoid = link == "sigmoid" or y_pred.shape[-1] == 1
        logits = y_pred if self.from_logits else _logits(y_pred, sigmoid)
        ignore = _as_floats(self.criterion.ignore, y_pred.shape[-1])
        if keras.backend.backend() == "torch":
            target = y_true if y_true.ndim < logits.ndim else y_true.movedim(-1, 1)
            return loss(logits.movedim(-1, 1), target, link=link, ignore=ignore)
        pair = KerasPair.read(logits, y_true, sigmoid=sigmoid, ignore=ignore)
        terms: list[tuple[Any, Any]] = list(loss.terms)
        return sum((weight * leaf.of(pair)).value for weight, leaf in terms)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds this object; the loss as its text."""
        own = {"loss": repr(self.criterion.loss), "link": self.criterion.link, "ignore": self.criterion.ignore}
        config: dict[str, Any] = super().get_config() | own | {"from_logits": self.from_logits}
        return config


class AdvanceLoss(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore]
    """Moves a loss's schedules at the start of every epoch: `model.fit(..., callbacks=[AdvanceLoss(loss)])`."""

    def __init__(self, loss: KerasLoss) -> None:
        super().__init__()
        self.loss = loss

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Move the schedules to `epoch`, counted from 0."""
        advance_to_epoch(self.loss.criterion, epoch, self.params["epochs"])


def check_formulas(loss: Loss) -> None:
    """Raise ValueError unless every term is a formula of counts or voxels with a constant weight."""
    where = f"on Keras's {keras.backend.backend()} back end (set KERAS_BACKEND=torch for the whole atlas)"
    for weight, leaf in loss.terms:
        if not isinstance(weight, int | float):
            raise ValueError(f"{loss!r}: the schedule {weight!r} does not move {where}; give a number")
        if card(type(leaf).__name__).category == "as_released":
            raise ValueError(f"{leaf!r} repeats released PyTorch code and is not available {where}")
        if leaf.needs:
            raise ValueError(f"{leaf!r} needs distance maps, which are not computed {where}")
        if not isinstance(leaf, OverlapLoss | VoxelLoss):
            raise ValueError(f"{leaf!r} is no formula of counts or voxels (it sorts or selects), not available {where}")


@dataclass(frozen=True)
class KerasPair:
    """What overlap and voxel losses ask of a pair, computed by Keras: the counterpart of `losses.pair.Pair`.

    `sums` (N, C, 4), `truths` (N, C) and `voxels` (N, 1) are those of a walk's `Answer`; `log_p`, `labels`, `channels`
    (N, E, V) tell of every voxel's truth, `weight` (N, 1, V) whether it counts.
    """

    sums: Array
    truths: Array
    voxels: Array
    log_p: Array
    labels: Array
    channels: Array
    weight: Array
    sigmoid: bool
    classes: int

    @classmethod
    def read(cls, logits: Any, target: Any, *, sigmoid: bool, ignore: tuple[int, ...]) -> KerasPair:
        """Read channels-last logits and target."""
        classes = int(logits.shape[-1])
        z = _flat(logits, classes)
        one_hot = len(target.shape) == len(logits.shape) and target.shape[-1] == classes
        valid, g = _one_hot(target, classes, ignore, one_hot and (classes > 1 or not ignore))
        s = ops.sigmoid(z) if sigmoid else ops.softmax(z, axis=1)
        states = [s, g * s, s * s, g * s * s]
        sums = ops.stack([ops.sum(state * valid, axis=2) for state in states], axis=2)
        truths, voxels = ops.sum(g * valid, axis=2), ops.sum(valid, axis=2)
        if sigmoid:
            log_p = ops.log_sigmoid(ops.where(g > 0.5, z, -z))
            labels, channels = g, ops.ones_like(g) * ops.reshape(ops.arange(classes, dtype="float32"), (1, -1, 1))
        else:
            log_p = ops.sum(g * ops.log_softmax(z, axis=1), axis=1, keepdims=True)
            labels = channels = ops.cast(ops.argmax(g, axis=1), "float32")[:, None]
        arrays = map(Array, (sums, truths, voxels, log_p, labels, channels, valid))
        return cls(*arrays, sigmoid=sigmoid, classes=classes)  # type: ignore[misc, arg-type]

    def answer(self, loss: Loss) -> KerasPair:
        """The counts, which are the same for every loss."""
        return self

    def term(self, loss: VoxelLoss) -> Any:
        """The sum of a voxel loss's values over the voxels that count."""
        values: Any = loss.values(self.log_p, self.labels, self.channels)  # type: ignore[arg-type]
        return (values * self.weight).sum()

    def first_class(self, background: bool) -> int:
        """The first class that counts."""
        return 0 if background or self.sigmoid else 1


def _as_floats(ignore: Ignore, classes: int) -> tuple[int, ...]:
    """The labels that do not count, as Keras hands them over: -1 is 255 if the target was uint8 before its cast."""
    labels = check_ignore(ignore)
    return tuple(dict.fromkeys([*labels, *stored(labels, torch.uint8, classes)]))


def _logits(probabilities: Any, sigmoid: bool) -> Any:
    p = ops.clip(probabilities, TINY, 1 - TINY if sigmoid else 1)
    return ops.log(p) - ops.log(1 - p) if sigmoid else ops.log(p)


def _flat(channels_last: Any, classes: int) -> Any:
    """(N, *S, C) -> (N, C, V)."""
    return ops.transpose(ops.reshape(channels_last, (ops.shape(channels_last)[0], -1, classes)), (0, 2, 1))


def _one_hot(target: Any, classes: int, ignore: tuple[int, ...], dense: bool) -> tuple[Any, Any]:
    """Which voxels count (N, 1, V), and the truth (N, C, V)."""
    if dense:
        g = _flat(ops.cast(target, "float32"), classes)
        return ops.ones_like(g[:, :1]), g
    labels = ops.cast(ops.reshape(target, (ops.shape(target)[0], 1, -1)), "int32")
    valid = ops.ones_like(labels)
    for label in ignore:
        valid = valid * ops.cast(labels != label, "int32")
    known = ops.reshape(ops.arange(classes, dtype="int32") + int(classes == 1), (1, -1, 1))
    return ops.cast(valid, "float32"), ops.cast(labels * valid == known, "float32")
