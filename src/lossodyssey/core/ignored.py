"""Labels of voxels that do not count: one or several, as the labels' own dtype stores them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

Ignore = int | Iterable[int] | None
"""The label of voxels that do not count, several of them, or none."""


def check_ignore(ignore: Any) -> tuple[int, ...]:
    """Return the labels as whole numbers.

    Raises:
        ValueError: a label that is not a whole number.
    """
    if ignore is None:
        return ()
    values = ignore.tolist() if hasattr(ignore, "tolist") else ignore
    if isinstance(values, set | frozenset):
        values = sorted(values)
    items = list(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else [values]
    return tuple(dict.fromkeys(_whole(item, ignore) for item in items))


def canonical(ignore: Any) -> int | tuple[int, ...] | None:
    """Return the labels as short as they can be written: None, one label, or several."""
    labels = check_ignore(ignore)
    return labels[0] if len(labels) == 1 else labels or None


def _whole(item: Any, ignore: Any) -> int:
    value = item.item() if hasattr(item, "item") else item
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ValueError(f"ignore is {ignore!r}, expected a label (a whole number), several of them, or None")
    return int(value)


def stored(ignore: tuple[int, ...], dtype: torch.dtype, classes: int) -> tuple[int, ...]:
    """Return the labels as integers of this dtype store them: -1 is 255 in uint8, and 255 is -1 in int8.

    Labels that the dtype cannot store are left out, and so are those that would turn into one of the classes.
    """
    if dtype.is_floating_point or dtype == torch.bool:
        return ignore
    # uint64 is computed with as int64, see `arrays.SIGNED`.
    info = torch.iinfo(torch.int64 if dtype == torch.uint64 else dtype)
    turned = [_turned(label, info, classes) for label in ignore]
    return tuple(dict.fromkeys(label for label in turned if label is not None))


def _turned(label: int, info: torch.iinfo, classes: int) -> int | None:
    if info.min <= label <= info.max:
        return label
    # Two's complement: the label is stored modulo 2^bits.
    other = label + (1 << info.bits) * (1 if label < 0 else -1)
    return other if info.min <= other <= info.max and other not in range(classes) else None


def merged(labels: Tensor, ignore: tuple[int, ...], classes: int) -> tuple[Tensor, int | None]:
    """Return the labels with one label for all voxels that do not count, and that label.

    It is the first of the ignored labels that is not a class, else the first of them.
    """
    if not ignore:
        return labels, None
    first = next((label for label in ignore if label not in range(classes)), ignore[0])
    for other in ignore:
        labels = labels if other == first else labels.masked_fill(labels == other, first)
    return labels, first
