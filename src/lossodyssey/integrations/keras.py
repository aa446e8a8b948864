"""Keras 3: all losses on the torch back end, on TensorFlow and JAX all that are formulas."""

from __future__ import annotations

from typing import Any

import keras
import torch
from keras import ops

from lossodyssey import Criterion, Loss, card
from lossodyssey.core.context import Link
from lossodyssey.core.ignored import Ignore, check_ignore, stored
from lossodyssey.core.kinds import OverlapLoss, VoxelLoss, class_weights
from lossodyssey.core.schedules import follows_dice
from lossodyssey.core.trained import trained_values
from lossodyssey.integrations.epochs import advance_to_epoch
from lossodyssey.integrations.keras_pair import UNKNOWN, KerasPair, has_channels

TINY = 1e-7


@keras.saving.register_keras_serializable("lossodyssey")
class KerasLoss(keras.losses.Loss):  # type: ignore[misc, unused-ignore]
    """A loss for `model.compile(loss=KerasLoss("AsymmetricUnifiedFocal()"))`.

    Args:
        loss: a loss, or its text.
        from_logits: whether the model returns logits; else probabilities, the habit of Keras.
        link: "softmax" for exclusive classes, "sigmoid" for one region per channel; one channel is always sigmoid.
        ignore: label of voxels that do not count, or several, in sparse targets.

    The model returns (N, *S, C), channels last. The target is sparse (N, *S) or (N, *S, 1), or has one channel per
    class (N, *S, C): one-hot, soft labels, or regions. The value is one number for the batch. Outside the torch back
    end, sums with constant weights of overlap and voxel losses are computed, in float32.

    Raises:
        ValueError: the back end cannot compute the loss, the loss looks at the image, has a head, is trained itself or
            needs the logits, the target does not fit, or `ignore` stands beside one channel per class. Compiled code
            cannot say that a target's values are wrong: the loss is NaN then, and
            `model.compile(..., run_eagerly=True)` gives the reason.
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
        if self.criterion.loss.needs_image:
            raise ValueError(f"{self.criterion.loss!r} looks at the image, which Keras does not hand to a loss")
        if self.criterion.loss.heads():
            raise ValueError(f"{self.criterion.loss!r} asks for maps beside the logits, which are not taken from Keras")
        if trained := trained_values(self.criterion):
            raise ValueError(
                f"{self.criterion.loss!r} trains {', '.join(trained)} with the network, but Keras's optimizer trains "
                "the weights of the model alone; take another loss, or train in PyTorch"
            )
        if not (from_logits or self.criterion.loss.shift_free or link == "sigmoid"):
            raise ValueError(
                f"{self.criterion.loss!r} tells logits apart that give the same probabilities: let the model return "
                "logits, without a softmax, and say from_logits=True"
            )
        if keras.backend.backend() != "torch":
            check_formulas(self.criterion.loss)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the scalar loss."""
        if _asks_for_shapes():
            return ops.sum(y_pred)
        link, loss = self.criterion.link, self.criterion.loss
        dense = has_channels(_lengths(y_true), y_pred.shape, self.criterion.ignore)
        sigmoid = link == "sigmoid" or y_pred.shape[-1] == 1
        logits = y_pred if self.from_logits else _logits(y_pred, sigmoid)
        ignore = _as_floats(self.criterion.ignore, y_pred.shape[-1])
        if keras.backend.backend() == "torch":
            truth = y_true.movedim(-1, 1) if dense else y_true.reshape(y_pred.shape[:-1])
            return loss(logits.movedim(-1, 1), truth, link=link, ignore=ignore or None)
        return _value(loss, KerasPair.read(logits, y_true, sigmoid=sigmoid, dense=dense, ignore=ignore))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that rebuild this object; the loss as its text."""
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
        if follows_dice(leaf):
            raise ValueError(f"{leaf!r}: FromDice does not move {where}; give a number")
        category = card(type(leaf).__name__).category
        if category == "as_released":
            raise ValueError(f"{leaf!r} repeats released PyTorch code and is not available {where}")
        if leaf.auxiliaries():
            raise ValueError(f"{leaf!r} needs maps of the labels such as distances, which are not computed {where}")
        if not isinstance(leaf, OverlapLoss | VoxelLoss) or not leaf.local:
            raise ValueError(
                f"{leaf!r} is not a formula of counts or voxels (it sorts, selects, or looks at neighbours or other "
                f"views), not available {where}"
            )
        if category == "custom" and (missing := missing_operation(leaf)):
            raise ValueError(f"{leaf!r} computes with what Keras arrays do not have ({missing}), not available {where}")


def missing_operation(leaf: OverlapLoss | VoxelLoss) -> str:
    """Return the operation that stops a custom loss on two made-up voxels; empty where nothing does."""
    classes = len(leaf.class_weights) if isinstance(leaf.class_weights, tuple) else 2
    pair = KerasPair.read(ops.zeros((1, 2, classes)), ops.zeros((1, 2)), sigmoid=False, dense=False, ignore=())
    try:
        leaf.of(pair)  # type: ignore[arg-type]
    except (AttributeError, NotImplementedError, TypeError) as error:
        return str(error)
    return ""


def _as_floats(ignore: Ignore, classes: int) -> tuple[int, ...]:
    """Return the labels that do not count, as Keras hands them over.

    -1 is also 255, because the target may have been uint8 before its cast.
    """
    labels = check_ignore(ignore)
    return tuple(dict.fromkeys([*labels, *stored(labels, torch.uint8, classes)]))


def _logits(probabilities: Any, sigmoid: bool) -> Any:
    p = ops.clip(probabilities, TINY, 1 - TINY if sigmoid else 1)
    return ops.log(p) - ops.log(1 - p) if sigmoid else ops.log(p)


def _asks_for_shapes() -> bool:
    """Return whether Keras wants shapes only.

    Before the first batch it calls losses with stand-ins, which hold no labels.
    """
    scope = keras.SymbolicScope()
    with scope:
        return scope.original_scope is not None


def _lengths(target: Any) -> tuple[int | None, ...]:
    if getattr(target.shape, "rank", 0) is None:
        raise ValueError(UNKNOWN)
    return tuple(target.shape)


def _value(loss: Loss, pair: KerasPair) -> Any:
    """Return the sum of all terms.

    It is NaN where code is compiled and cannot refuse in words the values that a target holds.
    """
    pair.check()
    for _, leaf in loss.terms:
        class_weights(leaf, pair)  # type: ignore[arg-type]
    terms: list[tuple[Any, Any]] = list(loss.terms)
    total = sum((weight * leaf.of(pair)).value for weight, leaf in terms)
    return ops.where(pair.sound, total, float("nan"))
