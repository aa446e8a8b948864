"""The context of a call: everything that a loss may know beside logits and target, in one value that travels whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.core.arrays import plain
from lossodyssey.core.ignored import Ignore

Link = Literal["softmax", "sigmoid"]
Spacing = Sequence[float] | Sequence[Sequence[float]] | Tensor | None
"""The size of a voxel along each spatial axis: one for all samples, or one per sample (N, D); None counts voxels."""
Auxiliaries = Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]]
"""Values made of the labels ahead of time, by key; of one scale, or of every scale of deep supervision."""


@dataclass(frozen=True, eq=False)
class Context:
    """The inputs of a call beside logits (N, C, *S) and target; each entry may be missing.

    Attributes:
        ignore: label of voxels that do not count, or several, in targets of labels. -1 is 255 in uint8.
        weight: (N, *S) or (N, 1, *S), bool or number: how much each voxel counts; 0 removes it from every sum, count
            and selection. Losses that select or sort voxels, or follow shapes, only see whether it is above 0. Under
            sigmoid also (N, C, *S) or (N, C, 1, ...): per channel, 0 where a region is not annotated.
        spacing: size of a voxel along each spatial axis, (D,) or per sample (N, D); None measures in voxels.
        image: the network's input (N, K, *S) or (N, *S), for losses that look at it.
        annotated: (N, C) bool: which classes are annotated in which sample; None where all are.
        auxiliary: values made of the labels ahead of time, (N, C or 1, *S) by key, as `Preparation` gives them, for
            one scale or as a list for every scale. A missing value is made when a loss asks for it.
        heads: maps that the network makes beside the logits, (N, C, *S) by name, for losses that ask for them, see
            `Loss.heads`; for one scale or as a list for every scale. `Criterion(loss, classes=C)` takes them off the
            network's output.
    """

    ignore: Ignore = None
    weight: Any = None
    spacing: Spacing = None
    image: Any = None
    annotated: Any = None
    auxiliary: Auxiliaries = field(default_factory=dict)
    heads: Auxiliaries = field(default_factory=dict)

    @classmethod
    def of(cls, given: Context | None = None, *, maps: Auxiliaries | None = None, **entries: Any) -> Context:
        """Return `given` with the entries that are not None in place of its own; `maps` is another name of `auxiliary`.

        Raises:
            ValueError: `maps` beside `auxiliary`, or something else than a context.
        """
        if given is not None and not isinstance(given, Context):
            raise ValueError(
                f"context is of type {type(given).__name__}, expected a Context: give weight=, spacing= and the others "
                "by name"
            )
        if maps is not None and entries.get("auxiliary") is not None:
            raise ValueError("maps and auxiliary are two names of one argument; give one of them")
        if maps is not None:
            entries["auxiliary"] = maps
        kept = {name: value for name, value in entries.items() if value is not None}
        return replace(given, **kept) if given is not None else cls(**kept)

    def at_scale(self, finest: Sequence[int], shape: Sequence[int]) -> Context:
        """Return the context for logits of the spatial `shape`, where this one is that of logits of the shape `finest`.

        The weight is that of the nearest voxels, the image the mean of the voxels that become one, and the spacing
        grows. Auxiliary values of that shape are taken from a list of scales; a missing value is made again of
        the coarser labels. Labels to ignore and annotated classes are the same at every scale, and heads are those of
        the scale's own output.
        """
        if tuple(shape) == tuple(finest):
            return replace(self, auxiliary=scales_of(self.auxiliary)[0])
        coarser = {
            key: value
            for scale in scales_of(self.auxiliary)
            for key, value in scale.items()
            if tuple(value.shape[2:]) == tuple(shape)
        }
        return replace(
            self,
            weight=None if self.weight is None else nearest_voxels(plain("weight", self.weight), shape),
            spacing=None if self.spacing is None else _coarser(self.spacing, finest, shape),
            image=None if self.image is None else _averaged(plain("image", self.image), shape),
            auxiliary=coarser,
        )


ENTRIES = tuple(entry.name for entry in fields(Context))
"""The names of a context's entries."""


def nearest_voxels(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return `values` (..., *S) with the spatial `shape`, by nearest voxel; an axis of one voxel stays as it is."""
    for axis, size in enumerate(shape, max(values.ndim - len(shape), 0)):
        if axis < values.ndim and values.shape[axis] not in (1, size):
            # The middle of voxel k lies at (2k + 1) / (2 size) of the axis: whole numbers leave nothing to rounding.
            middles = torch.arange(1, 2 * size, 2, device=values.device)
            values = values.index_select(axis, middles * values.shape[axis] // (2 * size))
    return values


def _averaged(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the image (N, K, *S) or (N, *S) with the spatial `shape`, each voxel the mean of those it covers."""
    channels = image if image.ndim == len(shape) + 2 else image[:, None]
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(shape) - 1]
    numbers = channels if channels.dtype == torch.float64 else channels.float()
    pooled: Tensor = pool(numbers, tuple(shape))  # type: ignore[arg-type]
    return pooled


def _coarser(spacing: Any, finest: Sequence[int], shape: Sequence[int]) -> Any:
    """Return the spacing (D,) or (N, D) of voxels that are larger because there are fewer along each axis."""
    factors = [fine / coarse for fine, coarse in zip(finest, shape, strict=True)]
    if isinstance(spacing, Tensor):
        return spacing * spacing.new_tensor(factors)
    rows = spacing.tolist() if hasattr(spacing, "tolist") else list(spacing)
    if rows and isinstance(rows[0], Sequence):
        return [_coarser(row, finest, shape) for row in rows]
    return [step * factor for step, factor in zip(rows, factors, strict=True)]


def scales_of(auxiliary: Auxiliaries | None) -> list[Mapping[str, Tensor]]:
    """Return the auxiliary values scale by scale, the finest first."""
    if auxiliary is None or isinstance(auxiliary, Mapping):
        return [auxiliary or {}]
    return list(auxiliary) or [{}]
