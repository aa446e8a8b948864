"""Every choice of a training run, with the reason beside its default."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal, get_args

from lossodyssey.data.preprocessing import Preprocessing

Optimizer = Literal["adam", "sgd"]
Schedule = Literal["poly", "plateau", "constant"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

WHOLE = ("steps", "epoch", "batch", "patience", "threads", "checkpoint_every")
NUMBERS = ("learning_rate", "clip", "weight_decay", "foreground", "overlap", "wrong_labels", "unannotated", "elastic")
Intensity = Literal["case", "auto", "ct"]
Memory = Literal["auto", "held", "mapped"]

LATER: dict[str, Any] = {
    "augmentation": True,
    "loss_schedules": True,
    "wrong_labels": 0.0,
    "unannotated": 0.0,
    "warmup": 0,
}
LATER |= {"spacing": "original", "intensity": "case", "intensities": None, "crop": False, "elastic": 0.0}
"""Fields that came after the first version, with the values under which a run is as it was without them."""

SAME_RESULT = ("memory",)
"""Fields that change the time and memory of a run, and not a bit of its result."""

PREPROCESSING = ("spacing", "intensity", "intensities", "crop", "elastic", "memory")
"""Fields that have no meaning for an engine with a preprocessing of its own."""


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
    """Share of the training cases with wrong label maps, to see which losses tolerate them: see `data.wrong_labels`."""
    unannotated: float = 0.0
    """Share of the classes that each training case has no labels of, to see which losses tolerate partial labels: see
    `data.unannotated`."""
    spacing: str | tuple[float, ...] = "original"
    """Voxel size that cases are resampled to: `median` of the training cases, as in the paper, or mm per array axis.

    The default leaves each case on its own grid: earlier runs are found again and go on with the same bits. Where the
    spacings of the training cases differ by more than a factor of 1.5 the run says so.
    """
    intensity: Intensity = "case"
    """case: every case to mean 0 and deviation 1; auto: the same, but CT channels by the training cases' foreground.

    ct: all channels so, whatever their names. Such values are clipped at the 0.5 and 99.5 percentiles, as in the paper.
    """
    intensities: tuple[tuple[float, ...], ...] | None = None
    """For each channel low, high, mean and deviation, or () for those that each case has of its own; the training
    cases decide where it is None."""
    crop: bool = False
    """Leave out the border in which all channels are 0, as in the paper."""
    elastic: float = 0.0
    """Probability that a patch is deformed; 0.2 in the first version of nnU-Net, which the paper trained with."""
    memory: Memory = "auto"
    """held: cases are in memory; mapped: they are read from files of the cache as they are needed; auto: the first
    where they fit into a quarter of the memory. The result is the same."""

    def __post_init__(self) -> None:
        for name in WHOLE:
            value = getattr(self, name)
            _require(_whole(value) and value >= 1, name, value, "a whole number of at least 1")
        _require(_whole(self.warmup) and self.warmup >= 0, "warmup", self.warmup, "a whole number of 0 or more")
        for name in NUMBERS:
            value = getattr(self, name)
            _require(_whole(value) or isinstance(value, float), name, value, "a number")
        for name in ("augmentation", "loss_schedules", "crop"):
            _require(isinstance(getattr(self, name), bool), name, getattr(self, name), "true or false")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            _require(isfinite(value) and value > 0, name, value, "a positive number")
        _require(isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.foreground <= 1, "foreground", self.foreground, "a probability, 0 to 1")
        _require(0 <= self.overlap < 1, "overlap", self.overlap, "a fraction, 0 to below 1")
        _require(0 <= self.wrong_labels <= 1, "wrong_labels", self.wrong_labels, "a share of the cases, 0 to 1")
        _require(0 <= self.unannotated < 1, "unannotated", self.unannotated, "a share of the classes, 0 to below 1")
        self._check_preprocessing()
        kinds = {"optimizer": Optimizer, "schedule": Schedule, "precision": Precision}
        for name, kind in {**kinds, "intensity": Intensity, "memory": Memory}.items():
            choices = get_args(kind)
            _require(getattr(self, name) in choices, name, getattr(self, name), f"one of {', '.join(choices)}")
        _require(isinstance(self.device, str), "device", self.device, "a text such as cpu")
        _require(_wholes(self.features), "features", self.features, "whole numbers, such as [8, 16]")
        _require(len(self.features) >= 2, "features", self.features, "at least two levels")
        _require(min(self.features) >= 1, "features", self.features, "positive channel counts")
        if self.patch is not None:
            self._check_patch(self.patch)

    def _check_preprocessing(self) -> None:
        _require(0 <= self.elastic <= 1, "elastic", self.elastic, "a probability, 0 to 1")
        usable = self.augmentation or not self.elastic
        _require(usable, "elastic", self.elastic, "0 where augmentation is false, which leaves patches as they are")
        expected = "original, median, or mm along each axis, such as [1.5, 1.5, 3]"
        known = self.spacing in ("original", "median")
        _require(known or _sizes(self.spacing), "spacing", self.spacing, expected)
        if self.intensities is not None:
            _require(self.intensity != "case", "intensities", self.intensities, "None where intensity is case")
            expected = "low, high, mean and deviation, or nothing, for each channel"
            _require(_ranges(self.intensities), "intensities", self.intensities, expected)
            # A record gives lists, and settings are compared.
            object.__setattr__(self, "intensities", tuple(map(tuple, self.intensities)))

    def _check_patch(self, patch: tuple[int, ...]) -> None:
        _require(_wholes(patch), "patch", patch, "whole numbers, such as [64, 64, 32]")
        _require(len(patch) in (2, 3), "patch", patch, "two or three axes")
        fits = all(size >= 1 and size % self.divisor == 0 for size in patch)
        expected = f"multiples of {self.divisor}, the stride of {len(self.features)} levels, one of them at least twice"
        _require(fits and max(patch) >= 2 * self.divisor, "patch", patch, expected)

    def identity(self) -> dict[str, Any]:
        """Return the choices that tell one run from another.

        The fields in `LATER` count only where they change anything, so that runs of earlier versions are found again;
        those in `SAME_RESULT` never do.
        """
        chosen = {name: value for name, value in asdict(self).items() if name not in SAME_RESULT}
        return {name: value for name, value in chosen.items() if name not in LATER or value != LATER[name]}

    def known_patch(self) -> tuple[int, ...]:
        """Return the patch.

        Raises:
            ValueError: the patch is to follow from the data, which have not been read yet.
        """
        if self.patch is None:
            raise ValueError(
                "settings: patch is None; expected voxels per axis, patch_shape(cases, divisor) chooses them"
            )
        return self.patch

    def preprocessing(self) -> Preprocessing:
        """Return the preprocessing of a case.

        Raises:
            ValueError: some of its numbers are to follow from the data, which have not been read yet.
        """
        if self.spacing == "median" or (self.intensity != "case" and self.intensities is None):
            raise ValueError(
                f"settings: spacing is {self.spacing!r} and intensity {self.intensity!r}; expected the numbers that "
                "the training cases decide, decided(settings, ...) asks for them"
            )
        spacing = None if self.spacing == "original" else tuple(map(float, self.spacing))
        return Preprocessing(spacing, self.intensities or (), self.crop)

    @property
    def divisor(self) -> int:
        """Every axis of a patch is a multiple of this: the stride of the deepest level."""
        return int(2 ** (len(self.features) - 1))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wholes(value: object) -> bool:
    return isinstance(value, tuple | list) and all(map(_whole, value))


def _sizes(value: object) -> bool:
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        return False
    return all((_whole(size) or isinstance(size, float)) and isfinite(size) and size > 0 for size in value)


def _ranges(value: object) -> bool:
    """Return whether a value has four ordered numbers, or none, for each channel."""
    if not isinstance(value, tuple | list) or not all(isinstance(row, tuple | list) for row in value):
        return False
    numbers = [number for row in value for number in row]
    valid = all((_whole(number) or isinstance(number, float)) and isfinite(number) for number in numbers)
    return valid and all(not row or (len(row) == 4 and row[0] <= row[1] and row[3] >= 0) for row in value)


def _require(valid: bool, name: str, seen: object, expected: str) -> None:
    if not valid:
        raise ValueError(f"settings: {name} is {seen!r}; expected {expected}")
