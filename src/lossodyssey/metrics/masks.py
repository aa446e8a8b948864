"""One prediction mask beside one truth mask, which every measure looks at; each quantity is computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lossodyssey.metrics.distances import Planes, SurfacePair
from lossodyssey.metrics.planes import cut_out
from lossodyssey.metrics.surface import border_voxels, surface_elements

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """Voxels of the whole image by outcome, without those that are ignored."""

    tp: int
    fp: int
    fn: int
    tn: int


class MaskPair:
    """Two boolean masks of one image, cropped to the box that holds both.

    `prediction` and `truth` are equal in shape, 2D or 3D; `spacing` is in mm per array axis; `shape` is the image's
    shape before cropping. Outside the image is background, so surfaces close at the image's edge. `planes` are the
    places of the masks' planes along each axis, where empty ones between far parts were left out. `ignored` counts the
    voxels of the image that do not count.
    """

    def __init__(
        self,
        prediction: Mask,
        truth: Mask,
        spacing: tuple[float, ...],
        shape: tuple[int, ...],
        planes: Planes | None = None,
        ignored: int = 0,
    ) -> None:
        self.prediction = prediction
        self.truth = truth
        self.spacing = spacing
        self.shape = shape
        self.planes = planes
        self.ignored = ignored
        self._known: dict[Callable[[MaskPair], Any], Any] = {}

    def once(self, compute: Callable[[MaskPair], T]) -> T:
        """Return `compute(self)`, computed the first time and remembered."""
        if compute not in self._known:
            self._known[compute] = compute(self)
        known: T = self._known[compute]
        return known

    @cached_property
    def counts(self) -> Counts:
        both = count(self.prediction & self.truth)
        # Three counts of the crop give four of the image: outside the crop, all that is not ignored is true negative.
        fp, fn = count(self.prediction) - both, count(self.truth) - both
        return Counts(both, fp, fn, math.prod(self.shape) - self.ignored - both - fp - fn)

    @property
    def prediction_size(self) -> int:
        return self.counts.tp + self.counts.fp

    @property
    def truth_size(self) -> int:
        return self.counts.tp + self.counts.fn

    @property
    def truth_volume(self) -> float:
        """The volume of the truth in mm^3 (2D: its area in mm^2)."""
        return self.truth_size * math.prod(self.spacing)

    @cached_property
    def elements(self) -> SurfacePair:
        """Surface elements between voxels, weighted by area (2D: length)."""
        return surface_elements(self.prediction, self.truth, self.spacing, self.planes)

    @cached_property
    def borders(self) -> SurfacePair:
        """Foreground voxels that touch the background through a face, all of weight 1."""
        return border_voxels(self.prediction, self.truth, self.spacing, self.planes)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The probability of one class at every voxel that counts, and 1 where the truth is of that class, else 0."""

    probability: npt.NDArray[np.float64]
    outcome: npt.NDArray[np.float64]


def count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def as_array(array: Any, name: str) -> npt.NDArray[Any]:
    """Return a NumPy array of a NumPy array, a nested list or a torch tensor on any device.

    Raises:
        ValueError: it is neither 2D nor 3D.
    """
    if hasattr(array, "detach"):
        array = array.detach().cpu()
    values: npt.NDArray[Any] = np.asarray(array)
    if values.ndim not in (2, 3):
        raise ValueError(f"{name} has shape {values.shape}; expected a 2D or 3D image without batch or channel axes")
    return values


def as_spacing(spacing: Sequence[float] | None, dimensions: int) -> tuple[float, ...]:
    """Return the spacing of every axis; None is 1 everywhere.

    Raises:
        ValueError: it is not one positive finite number per axis.
    """
    if spacing is None:
        return (1.0,) * dimensions
    numbers = tuple(float(number) for number in spacing)
    if len(numbers) != dimensions or not all(0 < number < np.inf for number in numbers):
        raise ValueError(f"spacing is {numbers}; expected {dimensions} positive numbers, one per array axis")
    return numbers


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return the length in mm of an image's diagonal, which no distance between surfaces in it exceeds."""
    return math.hypot(*(size * step for size, step in zip(shape, spacing, strict=True)))


def check_shapes(prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
    """Check that both maps have one shape.

    Raises:
        ValueError: they differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape} but truth has {truth.shape}; "
            "expected equal shapes: was the prediction resampled back to the image's grid?"
        )


def mask_pair(prediction: Any, truth: Any, spacing: Sequence[float] | None = None) -> MaskPair:
    """Pair two masks (nonzero is foreground), cropped to the box that holds both.

    Raises:
        ValueError: the shapes differ, or a mask is neither 2D nor 3D.
    """
    prediction, truth = as_array(prediction, "prediction") != 0, as_array(truth, "truth") != 0
    check_shapes(prediction, truth)
    return pair_in_box(
        (prediction, truth), foreground_box(prediction | truth), _itself, as_spacing(spacing, truth.ndim)
    )


def _itself(mask: npt.NDArray[Any]) -> Mask:
    return mask


def pair_in_box(
    maps: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    box: tuple[slice, ...],
    select: Callable[[npt.NDArray[Any]], Mask],
    spacing: tuple[float, ...],
    ignored: int = 0,
) -> MaskPair:
    """Pair the masks that `select` takes from a box of both maps, prediction first."""
    (prediction, truth), planes = cut_out([labels[box] for labels in maps], select)
    return MaskPair(prediction, truth, spacing, maps[1].shape, planes, ignored)


def foreground_box(labels: npt.NDArray[Any]) -> tuple[slice, ...]:
    """Find the smallest box that holds all that is not 0, in two passes over the first axis."""
    # The second pass reads only the rows that hold anything: for a small organ a fraction of the scan.
    rows = _extent(np.bitwise_or.reduce(labels, axis=tuple(range(1, labels.ndim))))
    across = np.bitwise_or.reduce(labels[rows], axis=0)
    if labels.ndim == 2:
        return rows, _extent(across)
    return rows, _extent(np.bitwise_or.reduce(across, axis=1)), _extent(np.bitwise_or.reduce(across, axis=0))


def _extent(line: npt.NDArray[Any]) -> slice:
    hits = np.flatnonzero(line)
    return slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 0)
