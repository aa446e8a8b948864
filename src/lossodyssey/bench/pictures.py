"""Slices of a case with the predictions, cut alike for all losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Case, Dataset, Volume, read_case, read_labels
from lossodyssey.report import Overlay
from lossodyssey.report.overlays import window

Labels = NDArray[np.int64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Prediction:
    """A case of a data set and the file of a run's prediction for it."""

    dataset: Dataset
    case: Case
    path: Path

    def volume(self) -> Volume:
        """Read the image and the truth."""
        return read_case(self.dataset, self.case)

    def labels(self) -> Labels:
        """Read the predicted labels."""
        return read_labels(self.path, self.dataset.classes).labels.astype(np.int64)

    def readable(self) -> bool:
        """Return whether the file is there and fits the case; the comparison has already reported a damaged file."""
        truth = self.volume().labels
        try:
            return self.path.is_file() and truth is not None and self.labels().shape == truth.shape
        except ValueError:
            return False


def draw(prediction: Prediction, title: str) -> Overlay:
    """Cut the slice on which most is wrong, wherever it lies, and give its picture."""
    return _draw([prediction], [title], _most_wrong)[1]


def draw_together(predictions: Sequence[Prediction], titles: Sequence[str]) -> list[Overlay]:
    """Cut one slice of a case for all its predictions: the truth alone first, then each prediction.

    The slice shows the object: of those that hold at least half as much truth as the fullest one, it is the one with
    most pixels that some prediction has wrong.
    """
    return _draw(predictions, titles, _most_wrong_on_the_object)


def _draw(
    predictions: Sequence[Prediction], titles: Sequence[str], choose: Callable[[Counts, Counts], int]
) -> list[Overlay]:
    volume = predictions[0].volume()
    assert volume.labels is not None
    truth = volume.labels.astype(np.int64)
    labels = [prediction.labels() for prediction in predictions]
    # Ignored voxels are background on both sides: no error to show, and none to choose a slice by.
    if (ignore := predictions[0].dataset.ignore) is not None:
        for each in (*labels, truth):
            each[volume.labels == ignore] = 0
    if truth.ndim == 3:
        axis = max(range(3), key=lambda number: (volume.spacing[number], number))
        index = choose(
            _per_slice(np.any([each != truth for each in labels], axis=0), axis), _per_slice(truth > 0, axis)
        )
        image, truth, *labels = [np.rot90(each.take(index, axis)) for each in (volume.image[0], truth, *labels)]
    else:
        axis, image = -1, volume.image[0]
    frame = window([truth, *labels])
    pixel = _pixel(volume.spacing, axis)
    shown = [None, *(found[frame] for found in labels)]
    return [
        Overlay(title, image[frame].astype(float), truth[frame], found, pixel)
        for title, found in zip(["image and truth", *titles], shown, strict=True)
    ]


def _per_slice(where: NDArray[np.bool_], axis: int) -> Counts:
    return np.asarray(where.sum(tuple(number for number in range(3) if number != axis)))


def _most_wrong(wrong: Counts, truth: Counts) -> int:
    return int((wrong if wrong.any() else truth).argmax())


def _most_wrong_on_the_object(wrong: Counts, truth: Counts) -> int:
    return _most_wrong(np.where(2 * truth >= truth.max(), wrong, 0), truth)


def _pixel(spacing: Sequence[float], axis: int) -> tuple[float, float]:
    """Return height and width of a pixel of a slice.

    Slices are turned so that the second world axis points up, as scans are displayed.
    """
    height, width = spacing if len(spacing) == 2 else [size for i, size in enumerate(spacing) if i != axis][::-1]
    return height, width
