"""The quantities that overlap and voxel losses ask of a pair, computed by Keras on its TensorFlow and JAX back ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from lossodyssey.core.kinds import VoxelLoss, class_weights
from lossodyssey.core.loss import Loss
from lossodyssey.integrations.keras_array import Array

UNKNOWN = (
    "TensorFlow does not know the target's number of axes or channels: give the data set its shapes, or call "
    "model.compile again, where a fit before had targets of another form (labels, or one channel per class)"
)


@dataclass(frozen=True)
class KerasPair:
    """The counterpart of `core.pair.Pair` for losses that are formulas.

    `sound` says whether the target's values fit the form that its shape states. `sums` (N, C, 4 or 6), `truths` (N, C)
    and `voxels` (N, 1) are those of `kernels.Statistics`. `log_p`, `labels`, `channels` (N, E, V) describe every state
    that a voxel's truth may have, `share` (N, 1 or E, V) how much that state counts. `s`, `g` (N, C, V) and `valid`
    (N, 1, V) are for losses that add up values of their own.
    """

    sound: Any
    sigmoid: bool
    classes: int
    sums: Array
    truths: Array
    voxels: Array
    log_p: Array
    labels: Array
    channels: Array
    share: Array
    s: Array
    g: Array
    valid: Array
    whole: ClassVar[bool] = True
    counts_exactly: ClassVar[bool] = False
    cells: ClassVar[None] = None

    @classmethod
    def read(cls, logits: Any, target: Any, *, sigmoid: bool, dense: bool, ignore: tuple[int, ...]) -> KerasPair:
        """Read channels-last logits, and a target with a channel per class (`dense`) or of labels."""
        classes = int(logits.shape[-1])
        z = _flat(ops.cast(logits, "float32"), classes)
        g, valid, sound = _channels(target, classes, sigmoid) if dense else _labels(target, classes, ignore)
        s = ops.sigmoid(z) if sigmoid else ops.softmax(z, axis=1)
        # A channel per class may be soft, for which the overlap is min(s, g); of 0 and 1 it is the product.
        both = ops.minimum(s, g) if dense else g * s
        states = [s - both, both, s * s - g * s * s, g * s * s, *([g * s, g * g] if dense else [])]
        sums = ops.stack([ops.sum(state * valid, axis=2) for state in states], axis=2)
        truths, voxels = ops.sum(g * valid, axis=2), ops.sum(valid, axis=2)
        elements = (_possible_states if dense else _true_states)(z, g, valid, sigmoid)
        return cls(sound, sigmoid, classes, *map(Array, (sums, truths, voxels, *elements, s, g, valid)))

    def check(self) -> None:
        """Raise ValueError where the target's values are known and do not fit its shape."""
        try:
            sound = bool(ops.convert_to_numpy(self.sound))
        except (AttributeError, NotImplementedError, TypeError):  # while code is compiled there are no values
            return
        if not sound:
            raise ValueError(
                f"the target holds values that are neither labels 0 to {max(self.classes, 2) - 1} (does one of them "
                "mark voxels that do not count? pass it as `ignore`) nor one channel per class, with shares 0 to 1 "
                'that sum to 1 unless link="sigmoid"'
            )

    def statistics(self, loss: Loss) -> KerasPair:
        """Return the counts, which are the same for every loss."""
        return self

    def sums_of(self, formula: Callable[[Any, Any], Any]) -> Any:
        """Return the sums (N, C) of the values (N, C, V) that the formula makes of s and g, over voxels that count."""
        return (formula(self.s, self.g) * self.valid).sum(2)

    def term(self, loss: VoxelLoss) -> Any:
        """Return the sum of a voxel loss's values over the voxels that count."""
        weights = class_weights(loss, self)  # type: ignore[arg-type]
        values: Any = loss.values(self.log_p, self.labels, self.channels, weights=weights)  # type: ignore[arg-type]
        return (values * self.share).sum()

    def class_weights(self, weights: Sequence[float]) -> Sequence[float]:
        """Return the weights of the classes as they were given."""
        return weights

    def first_class(self, background: bool) -> int:
        """Return the first class that counts."""
        return 0 if background or self.sigmoid else 1


def has_channels(target: Sequence[int | None], output: Sequence[int | None], ignore: Any) -> bool:
    """Return whether a target of this shape has a channel per class (else labels) for the model's output (N, *S, C).

    Raises:
        ValueError: the shapes do not fit or are not known, or `ignore` stands beside a channel per class.
    """
    classes = output[-1]
    if len(target) == len(output) and target[-1] is None:
        raise ValueError(UNKNOWN)
    if _fit(target, output[:-1]) or (_fit(target, [*output[:-1], 1]) and (classes != 1 or ignore is not None)):
        return False
    if not _fit(target, output):
        raise ValueError(
            f"the target has shape {tuple(target)}, the model's output {tuple(output)}; expected, channels last, "
            f"labels {tuple(output[:-1])} or {(*output[:-1], 1)}, or one channel per class {tuple(output)}"
        )
    if ignore is not None:
        raise ValueError(
            f"ignore is {ignore}, but the target {tuple(target)} has one channel per class, in which no label is "
            f"left to be ignored; give labels {tuple(output[:-1])}"
        )
    return True


def _fit(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Return whether a shape is the expected one; TensorFlow's graphs do not know every length."""
    return len(shape) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(shape, expected, strict=True)
    )


def _flat(channels_last: Any, classes: int) -> Any:
    """Return (N, *S, C) as (N, C, V)."""
    return ops.transpose(ops.reshape(channels_last, (ops.shape(channels_last)[0], -1, classes)), (0, 2, 1))


def _channels(target: Any, classes: int, sigmoid: bool) -> tuple[Any, Any, Any]:
    """Return the truth (N, C, V), which voxels count (N, 1, V), and whether all values are in order."""
    g = _flat(ops.cast(target, "float32"), classes)
    sound = ops.all((g >= 0) & (g <= 1))
    if not sigmoid:
        sound = sound & ops.all(ops.abs(ops.sum(g, axis=1) - 1) <= 1e-3)
    return g, ops.ones_like(g[:, :1]), sound


def _labels(target: Any, classes: int, ignore: tuple[int, ...]) -> tuple[Any, Any, Any]:
    labels = ops.cast(ops.reshape(target, (ops.shape(target)[0], 1, -1)), "float32")
    counts = ops.ones_like(labels, dtype="bool")
    for label in ignore:
        counts = counts & (labels != label)
    labels = ops.where(counts, labels, 0.0)
    g = ops.cast(labels == ops.reshape(ops.arange(max(classes, 2), dtype="float32"), (1, -1, 1)), "float32")
    return g[:, -classes:], ops.cast(counts, "float32"), ops.all(ops.sum(g, axis=1) > 0)


def _true_states(z: Any, g: Any, valid: Any, sigmoid: bool) -> tuple[Any, Any, Any, Any]:
    """Return the log-probability of the truth (per channel under sigmoid), its label, its channel and its share."""
    if sigmoid:
        return ops.log_sigmoid(ops.where(g > 0.5, z, -z)), g, _numbers(z), valid
    labels = ops.cast(ops.argmax(g, axis=1), "float32")[:, None]
    return ops.sum(g * ops.log_softmax(z, axis=1), axis=1, keepdims=True), labels, labels, valid


def _possible_states(z: Any, g: Any, valid: Any, sigmoid: bool) -> tuple[Any, Any, Any, Any]:
    """Return the same of all states that the truth may have, each with its share: soft labels are expectations."""
    numbers = _numbers(z)
    if not sigmoid:
        return ops.log_softmax(z, axis=1), numbers, numbers, g
    log_p = ops.concatenate([ops.log_sigmoid(z), ops.log_sigmoid(-z)], axis=1)
    labels = ops.concatenate([ops.ones_like(z), ops.zeros_like(z)], axis=1)
    return log_p, labels, ops.concatenate([numbers, numbers], axis=1), ops.concatenate([g, 1 - g], axis=1)


def _numbers(z: Any) -> Any:
    """Return the number of its channel at every place of z (N, C, V)."""
    return ops.ones_like(z) * ops.reshape(ops.arange(z.shape[1], dtype="float32"), (1, -1, 1))
