"""A few cases as pictures: the image, or the fullest slice of a volume, with its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from lossodyssey.data.adopt.facts import read_quietly
from lossodyssey.data.adopt.labels import case_labels
from lossodyssey.data.adopt.reading import Read
from lossodyssey.data.adopt.understanding import Understanding

MOST = 9
LARGEST = 512  # pixels along the longer side of a picture


@dataclass(frozen=True, eq=False)
class Shown:
    """A case as a grey picture (rows, columns) with labels of the same shape; `pixel` is its height and width in mm."""

    name: str
    image: NDArray[numpy.float64]
    labels: NDArray[numpy.int64]
    pixel: tuple[float, float]


def preview(found: Understanding, count: int = MOST) -> list[Shown]:
    """Return some of the cases, evenly chosen from all."""
    names = list(found.cases)
    chosen = dict.fromkeys(names[round(place)] for place in numpy.linspace(0, len(names) - 1, min(count, len(names))))
    return [_shown(name, found.cases[name], found) for name in chosen]


def _shown(name: str, read: Read, found: Understanding) -> Shown:
    grid, _ = read_quietly(read.images[0].path)
    image = numpy.asarray(grid.shown, dtype=numpy.float64)
    image = image[..., : read.images[0].seen].mean(-1) if image.ndim > read.dims else image
    labels = case_labels(read, found.decision.rule, found.layers).astype(numpy.int64)
    spacing = found.choices.spacing or grid.spacing(read.dims)
    if read.dims == 3:
        axis = max(range(3), key=lambda number: (spacing[number], number))
        index = int((labels > 0).sum(tuple(number for number in range(3) if number != axis)).argmax())
        # Volumes are turned as scans are displayed, with the second axis up; pages of a stack are pictures already.
        turns = int(axis == 2)
        image, labels = (numpy.rot90(whole.take(index, axis), turns) for whole in (image, labels))
        spacing = tuple(size for number, size in enumerate(spacing) if number != axis)[:: -1 if turns else 1]
    step = max(1, -(-max(image.shape) // LARGEST))
    return Shown(name, image[::step, ::step], labels[::step, ::step], _two(spacing))


def _two(spacing: Sequence[float]) -> tuple[float, float]:
    height, width = spacing
    return float(height), float(width)
