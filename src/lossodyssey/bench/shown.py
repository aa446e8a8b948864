"""Pictures of a run for its trackers: the first batch it trains on, and its worst, median and best case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lossodyssey.bench.damage import prediction
from lossodyssey.bench.pictures import Prediction, draw
from lossodyssey.ranking.measures import measure

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job
    from lossodyssey.table import Row

Picture = NDArray[np.uint8]
"""Rows, columns, and red, green and blue."""
MOST_SAMPLES = 8
TRUTH, PREDICTED = (0, 158, 115), (213, 94, 0)
GAP = 2


def batch(images: NDArray[np.floating[Any]], target: NDArray[Any]) -> Picture:
    """Draw the samples of a batch side by side: the first channel of (N, K, *S), with the outlines of all classes.

    `target` is labels (N, *S) or (N, 1, *S), or regions (N, C, *S). Of a volume it is the slice with most foreground.
    """
    shown = [_sample(image[0], labels) for image, labels in zip(images, target, strict=True)][:MOST_SAMPLES]
    return _side_by_side(shown)


def _sample(image: NDArray[Any], target: NDArray[Any]) -> Picture:
    channels = target if target.ndim > image.ndim else target[None]
    labels = channels[0] if len(channels) == 1 else _numbered(channels)
    if image.ndim == 3:
        # Along the axis with fewest voxels, which is the one that scans are cut along.
        axis = int(np.argmin(image.shape))
        place = int((labels > 0).sum(tuple(number for number in range(3) if number != axis)).argmax())
        image, labels = image.take(place, axis), labels.take(place, axis)
    return outlined(image, labels)


def _numbered(regions: NDArray[Any]) -> NDArray[Any]:
    """Give each combination of regions a number, so that all their borders are drawn."""
    weights = (2 ** np.arange(len(regions))).reshape(-1, *(1,) * (regions.ndim - 1))
    return np.asarray(((regions > 0.5) * weights).sum(0))


def outlined(image: NDArray[Any], truth: NDArray[Any], predicted: NDArray[Any] | None = None) -> Picture:
    """Draw a picture in grey, its true outlines in green and the predicted ones in orange over them."""
    low, high = np.nanpercentile(image, (1, 99))
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    drawn = np.repeat((255 * np.nan_to_num(grey))[..., None], 3, axis=2).astype(np.uint8)
    for labels, colour in ((truth, TRUTH), (predicted, PREDICTED)):
        if labels is not None:
            drawn[_border(labels)] = colour
    return drawn


def _border(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels of a class that touch another one."""
    cross = ndimage.generate_binary_structure(2, 1)
    lowest = ndimage.minimum_filter(labels, footprint=cross, mode="nearest")
    highest = ndimage.maximum_filter(labels, footprint=cross, mode="nearest")
    return np.asarray((labels > 0) & (lowest != highest))


def _side_by_side(pictures: Sequence[Picture]) -> Picture:
    tallest = max(len(picture) for picture in pictures)
    padded = [np.pad(each, ((0, tallest - len(each)), (0, GAP), (0, 0))) for each in pictures]
    return np.concatenate(padded, axis=1)[:, :-GAP]


def overlays(job: Job, rows: Sequence[Row]) -> Iterator[tuple[str, Picture]]:
    """Yield pictures of the run's worst, median and best case by the first measure, on the slice with most errors."""
    for why, name in telling(rows):
        case = next((case for case in job.dataset.cases if case.name == name), None)
        found = case and Prediction(job.dataset, case, prediction(job.folder, case))
        if found and found.readable():
            drawn = draw(found, name)
            yield f"{why}: {name}", outlined(drawn.image, drawn.truth, drawn.prediction)


def telling(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Name the worst, median and best case, each once, by the mean of the first measure over the classes."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if (row.metric, row.loss) == (rows[0].metric, rows[0].loss) and math.isfinite(row.value):
            values.setdefault(row.case, []).append(row.value)
    sign = measure(rows[0].metric, better=rows[0].better).sign if rows else 1
    order = sorted(values, key=lambda case: (sign * fmean(values[case]), case))
    chosen = {"worst": order[:1], "best": order[-1:], "median": order[len(order) // 2 :][:1]}
    named = {case: why for why, cases in reversed(chosen.items()) for case in cases}
    return [(why, case) for case, why in named.items()]
