"""Regions made of several labels, such as the whole tumour, its core and its enhancing part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """A region: all voxels that carry one of `labels`; `written` is the label written where it is predicted."""

    name: str
    labels: tuple[int, ...]
    written: int


def check_order(regions: Sequence[Region], file: Path) -> None:
    """Check that a label, as region after region writes it, tells which regions it is in.

    Raises:
        ValueError: it does not, or the order does not hold labels.
    """
    for region in regions:
        if isinstance(region.written, bool) or not isinstance(region.written, int):
            raise ValueError(f"{file}: 'regions_class_order' must list labels, found {region.written!r:.80}")
    for label in sorted({label for region in regions for label in region.labels}):
        # The last region to write wins; its label must lie in the same regions as the label it stands for.
        inside = [region for region in regions if label in region.labels]
        written = inside[-1].written
        if [region for region in regions if written in region.labels] != inside:
            raise ValueError(
                f"{file}: 'regions_class_order' writes label {label} as {written}, which is in other regions; later "
                f"regions write over earlier ones ({', '.join(f'{r.name}: {r.written}' for r in regions)}), so list "
                "the regions that hold others first, each with a label that only it and those before it hold"
            )


def write_regions(inside: NDArray[numpy.bool_], written: Sequence[int]) -> NDArray[numpy.int64]:
    """Make labels (*S) of predicted regions (R, *S): each in turn writes its label, over those before it."""
    labels = numpy.zeros(inside.shape[1:], numpy.int64)
    for mask, label in zip(inside, written, strict=True):
        labels[mask] = label
    return labels
