"""The base of everything that is made from the labels ahead of time.

An auxiliary is a class with annotated fields and a `make`. Naming the base turns the fields into a keyword-only
constructor that checks them, freezes the object, and files the class under its name:

    class UnsignedDistance(Auxiliary, name="distance"):
        def make(self, truth, classes, spacing):
            return euclidean(~masks_of(truth, classes).flatten(0, 1), spacing).reshape(...)
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import dataclass_transform

from lossodyssey.auxiliary import keys, operator, values


@dataclass_transform(kw_only_default=True, frozen_default=True)
@dataclass(frozen=True)
class Auxiliary:
    """Abstract: one thing that losses need and that is a function of the labels alone.

    Letters: N samples, C classes, S spatial axes. `truth` is integer labels (N, *S), in which voxels that do not
    count carry the label `classes`; or boolean masks (N, C, *S) for regions that overlap.
    """

    name: ClassVar[str] = ""
    hints: ClassVar[dict[str, Any]] = {}
    """The type of each field of the constructor."""
    key: str = field(init=False, repr=False, compare=False)
    """The definition as text, with the fields that differ from their defaults: `phi`, `phi[zero=none]`."""

    def __init_subclass__(cls, *, name: str = "") -> None:
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)
        hints = typing.get_type_hints(cls)
        cls.name, cls.hints = name, {each.name: hints[each.name] for each in fields(cls) if each.init}
        if name:
            keys.file(cls)

    def __post_init__(self) -> None:
        if not self.name:
            own = type(self).__name__
            raise ValueError(f"{own} has no name; expected class {own}(Auxiliary, name=...)")
        for name, hint in self.hints.items():
            value = values.conform(f"{type(self).__name__}.{name}", getattr(self, name), hint)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "key", keys.key_of(self))

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make it for a batch that has at least one voxel and one spacing, on the device of the truth."""
        # Not ABC: its metaclass takes no keyword `name` on the class line before Python 3.11.
        raise NotImplementedError("abstract")

    def channels(self, truth: Tensor, classes: int) -> int:
        """Return the size of axis 1 of the result."""
        return classes if truth.dtype != torch.bool else truth.shape[1]

    def shape(self, truth: Tensor, classes: int) -> tuple[int, ...]:
        """Return the shape of the result, (N, channels, *S) unless a subclass says otherwise."""
        return len(truth), self.channels(truth, classes), *space_of(truth)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the result."""
        return torch.float32

    def __call__(self, truth: Tensor, classes: int, spacing: Sequence[float] | Tensor | None = None) -> Tensor:
        """Make it for a batch: (N, channels, *S), or (N, channels, 1, ..., 1) where it is one number per class.

        Args:
            truth: integer labels (N, *S) or boolean masks (N, C, *S).
            classes: the number of classes or channels of the logits.
            spacing: the size of a voxel along each spatial axis, for all samples or (N, S) one per sample; None
                measures in voxels.

        Raises:
            ValueError: `truth` holds numbers that are not whole, or the spacing does not fit it.
        """
        if truth.is_floating_point() or truth.is_complex():
            raise ValueError(f"truth is {truth.dtype}, expected integer labels (N, *S) or boolean masks (N, C, *S)")
        steps = None if spacing is None else torch.as_tensor(spacing, dtype=torch.float64)
        axes = len(space_of(truth))
        if steps is not None and steps.shape not in ((axes,), (len(truth), axes)):
            raise ValueError(
                f"spacing has shape {tuple(steps.shape)}, expected ({axes},), one number for each spatial axis, "
                f"or ({len(truth)}, {axes}), one row for each sample"
            )
        made: Tensor = operator.auxiliary(truth, classes, steps, self.key)
        return made


def space_of(truth: Tensor) -> torch.Size:
    """Return the spatial shape of labels (N, *S) or masks (N, C, *S)."""
    return truth.shape[2:] if truth.dtype == torch.bool else truth.shape[1:]
