"""Slices of a case with what was predicted, cut alike for all losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Case, Dataset, Volume, read_case, read_labels
from lossodyssey.report import Overlay
from lossodyssey.report.overlays import window

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Prediction:
    """A case of a data set and the file with what a run predicted for it."""

    dataset: Dataset
    case: Case
    path: Path

    def volume(self) -> Volume:
        """Read the image and the truth."""
        return read_case(self.dataset, self.case)

    def labels(self) -> Labels:
        """Read the predicted labels."""
        return read_labels(self.path, self.dataset.classes).labels.astype(np.int64)


def draw(prediction: Prediction, title: str) -> Overlay:
    """Cut the slice on which most is wrong and give its picture."""
    return draw_together([prediction], [title])[1]


def draw_together(predictions: Sequence[Prediction], titles: Sequence[str]) -> list[Overlay]:
    """Cut one slice of a case for all its predictions: the truth alone first, then each prediction.

    The slice is the one with most pixels that some prediction has wrong, across the axis of widest spacing.
    """
    volume = predictions[0].volume()
    assert volume.labels is not None
    truth = volume.labels.astype(np.int64)
    labels = [prediction.labels() for prediction in predictions]
    axis, index = _slice(truth, labels, volume.spacing)
    image, truth, *cut = [_cut(each, axis, index) for each in (volume.image[0], truth, *labels)]
    frame = window([truth, *cut])
    pixel = _pixel(volume.spacing, axis)
    pictures: list[tuple[str, Labels | None]] = [("image and truth", None), *zip(titles, cut, strict=True)]
    return [
        Overlay(
            title, image[frame].astype(float), truth[frame], None if found is None else found[frame].astype(int), pixel
        )
        for title, found in pictures
    ]


def _slice(truth: Labels, labels: Sequence[Labels], spacing: Sequence[float]) -> tuple[int, int]:
    """Find the axis of widest spacing (the last one, if equal) and its slice with most errors, or else most truth."""
    dimensions = truth.ndim
    axis = max(range(dimensions), key=lambda number: (spacing[number], number))
    others = tuple(number for number in range(dimensions) if number != axis)
    wrong = np.any([each != truth for each in labels], axis=0)
    counted = wrong if wrong.any() else truth > 0
    return axis, int(counted.sum(others).argmax())


def _cut(array: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """Take one slice of a volume, turned so that the second world axis points up, as pictures of the body are hung."""
    return np.rot90(array.take(index, axis)) if array.ndim == 3 else array


def _pixel(spacing: Sequence[float], axis: int) -> tuple[float, float]:
    if len(spacing) == 2:
        return spacing[0], spacing[1]
    height, width = [size for number, size in enumerate(spacing) if number != axis][::-1]
    return height, width
