"""Every choice of a training run, with the reason beside its default."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal, get_args

Optimizer = Literal["adam", "sgd"]
Schedule = Literal["poly", "plateau", "constant"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

WHOLE = ("steps", "epoch", "batch", "patience", "threads", "checkpoint_every")
NUMBERS = ("learning_rate", "clip", "weight_decay", "foreground", "overlap", "wrong_labels")

LATER = {"augmentation": True, "loss_schedules": True, "wrong_labels": 0.0, "warmup": 0}
"""Fields that came after the first version, with the values under which a run is as it was without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of one network's training.

    Raises:
        ValueError: a field that is out of its range.
    """

    steps: int = 1000
    """Length of a run: a number of steps and never a time, so that a busy machine changes nothing."""
    epoch: int = 50
    """Steps after which schedules of the loss and of the learning rate advance."""
    batch: int = 2
    """nnU-Net's batch; at equal cost small batches learn faster than batches of 8."""
    patch: tuple[int, ...] | None = None
    """Voxels per axis; None takes the median shape of the training cases."""
    features: tuple[int, ...] = (8, 16, 32, 64)
    """Channels per level: small enough for a laptop's processor, and four levels beat three."""
    optimizer: Optimizer = "adam"
    """Adam needs no tuning per loss on short runs; SGD has Nesterov momentum 0.99 as in nnU-Net."""
    learning_rate: float = 3e-2
    """The best of 1e-3 to 3e-2 for four losses after 300 steps, with this warm-up, on validation cases.

    After 1,000 steps 1e-2 without warm-up is as good: `benchmarks/results/defaults.md`.
    """
    warmup: int = 30
    """Steps over which the rate rises from zero in a straight line; without them CrossEntropy fails at this rate."""
    weight_decay: float = 0.0
    """Short runs do not overfit; nnU-Net takes 3e-5 over 250,000 steps."""
    schedule: Schedule = "poly"
    """poly: (1 - step / steps)^0.9; plateau: a fifth whenever the loss stalls; constant."""
    patience: int = 50
    """Epochs without a better moving average of the loss before `plateau` acts."""
    foreground: float = 0.33
    """Probability that a patch is centred on a foreground voxel, as in nnU-Net."""
    clip: float = 12.0
    """Largest norm of the gradient, as in nnU-Net; how often it clips is recorded with the run."""
    device: str = "auto"
    """auto: CUDA where there is one, else the CPU."""
    precision: Precision = "auto"
    """auto: bfloat16 (else float16) on CUDA, float32 on the CPU, where exactness costs little time."""
    threads: int = 1
    """Processor threads of one run: two runs of one thread finish sooner than one run of two."""
    checkpoint_every: int = 200
    """Steps between checkpoints: at most this much work is lost when a run is killed."""
    overlap: float = 0.5
    """Overlap of neighbouring windows at inference, as in nnU-Net."""
    augmentation: bool = True
    """Turn, scale and flip patches and change their grey values, as nnU-Net does; False: patches as they are."""
    loss_schedules: bool = True
    """Move weights that are schedules, as their papers do. False: each keeps the value that it has at progress 0, and
    `Ratio()` its 1 of the first epoch; `Ratio("batch")`, which has no progress, goes on."""
    wrong_labels: float = 0.0
    """Share of the training cases whose label map is wrong, to see which losses bear it: see `data.wrong_labels`."""

    def __post_init__(self) -> None:
        for name in WHOLE:
            value = getattr(self, name)
            _require(_whole(value) and value >= 1, name, value, "a whole number of at least 1")
        _require(_whole(self.warmup) and self.warmup >= 0, "warmup", self.warmup, "a whole number of 0 or more")
        for name in NUMBERS:
            value = getattr(self, name)
            _require(_whole(value) or isinstance(value, float), name, value, "a number")
        for name in ("augmentation", "loss_schedules"):
            _require(isinstance(getattr(self, name), bool), name, getattr(self, name), "true or false")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            _require(isfinite(value) and value > 0, name, value, "a positive number")
        _require(isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.foreground <= 1, "foreground", self.foreground, "a probability, 0 to 1")
        _require(0 <= self.overlap < 1, "overlap", self.overlap, "a fraction, 0 to below 1")
        _require(0 <= self.wrong_labels <= 1, "wrong_labels", self.wrong_labels, "a share of the cases, 0 to 1")
        for name, kind in (("optimizer", Optimizer), ("schedule", Schedule), ("precision", Precision)):
            choices = get_args(kind)
            _require(getattr(self, name) in choices, name, getattr(self, name), f"one of {', '.join(choices)}")
        _require(isinstance(self.device, str), "device", self.device, "a text such as cpu")
        _require(_wholes(self.features), "features", self.features, "whole numbers, such as [8, 16]")
        _require(len(self.features) >= 2, "features", self.features, "at least two levels")
        _require(min(self.features) >= 1, "features", self.features, "positive channel counts")
        if self.patch is not None:
            self._check_patch(self.patch)

    def _check_patch(self, patch: tuple[int, ...]) -> None:
        _require(_wholes(patch), "patch", patch, "whole numbers, such as [64, 64, 32]")
        _require(len(patch) in (2, 3), "patch", patch, "two or three axes")
        fits = all(size >= 1 and size % self.divisor == 0 for size in patch)
        expected = f"multiples of {self.divisor}, the stride of {len(self.features)} levels, one of them at least twice"
        _require(fits and max(patch) >= 2 * self.divisor, "patch", patch, expected)

    def identity(self) -> dict[str, Any]:
        """Return the choices that tell one run from another.

        The fields in `LATER` count only where they change anything, so that runs of earlier versions are found again.
        """
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != LATER[name]}

    def known_patch(self) -> tuple[int, ...]:
        """Return the patch.

        Raises:
            ValueError: the patch was left to the data, and nobody has asked them yet.
        """
        if self.patch is None:
            raise ValueError(
                "settings: patch is None; expected voxels per axis, patch_shape(cases, divisor) chooses them"
            )
        return self.patch

    @property
    def divisor(self) -> int:
        """Every axis of a patch is a multiple of this: the stride of the deepest level."""
        return int(2 ** (len(self.features) - 1))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wholes(value: object) -> bool:
    return isinstance(value, tuple | list) and all(map(_whole, value))


def _require(valid: bool, name: str, seen: object, expected: str) -> None:
    if not valid:
        raise ValueError(f"settings: {name} is {seen!r}; expected {expected}")
