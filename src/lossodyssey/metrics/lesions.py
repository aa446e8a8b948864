"""Measures that count lesions: connected pieces of each mask, connected through corners."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lossodyssey.metrics.masks import MaskPair
from lossodyssey.metrics.measure import measure
from lossodyssey.metrics.overlap import ratio


@dataclass(frozen=True)
class Lesions:
    """Lesions of the truth and the prediction, how many touch one of the other, and the IoUs of those that match.

    Two lesions match where their IoU is above 1/2, which no lesion can reach with more than one other.
    """

    true: int
    predicted: int
    found: int
    confirmed: int
    ious: npt.NDArray[np.float64]

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the matches; 0 where nothing matches, NaN without any lesion."""
        if self.ious.size:
            return float(self.ious.mean())
        return 0.0 if self.true + self.predicted else math.nan

    @property
    def recognition_quality(self) -> float:
        """F1 of the matches."""
        return ratio(2 * self.ious.size, self.true + self.predicted)


def lesions(pair: MaskPair) -> Lesions:
    """Find and match the lesions of both masks."""
    full = np.ones((3,) * pair.truth.ndim)
    true, n_true = ndimage.label(pair.truth, full)
    predicted, n_predicted = ndimage.label(pair.prediction, full)

    # Only pairs of lesions that share a voxel can match: they are counted, not every pair of the two lists.
    both = pair.truth & pair.prediction
    met, shared = np.unique(np.stack([true[both], predicted[both]]), axis=1, return_counts=True)
    # |A| + |B| per pair; the IoU is |A and B| / (|A| + |B| - |A and B|).
    sizes = np.bincount(true.ravel(), minlength=1)[met[0]] + np.bincount(predicted.ravel(), minlength=1)[met[1]]
    ious = shared / (sizes - shared)

    # Above 1/2 a match is unique (Kirillov et al. 2019), so no assignment has to be solved.
    return Lesions(n_true, n_predicted, np.unique(met[0]).size, np.unique(met[1]).size, ious[ious > 0.5])


@measure("lesion_sensitivity", undefined="truth empty")
def lesion_sensitivity(pair: MaskPair) -> float:
    """Share of the true lesions that the prediction touches in at least one voxel."""
    found = pair.once(lesions)
    return ratio(found.found, found.true)


@measure("lesion_precision", undefined="prediction empty")
def lesion_precision(pair: MaskPair) -> float:
    """Share of the predicted lesions that touch the truth in at least one voxel."""
    found = pair.once(lesions)
    return ratio(found.confirmed, found.predicted)


@measure("lesion_F1")
def lesion_f1(pair: MaskPair) -> float:
    """Harmonic mean of `lesion_sensitivity` and `lesion_precision`; 0 when one mask is empty."""
    found = pair.once(lesions)
    if not (found.found and found.confirmed):
        return 0.0 if found.true + found.predicted else math.nan
    # 2 / (1 / sensitivity + 1 / precision), with the quotients written the other way round.
    return 2 / (found.true / found.found + found.predicted / found.confirmed)


@measure("PQ")
def panoptic_quality(pair: MaskPair) -> float:
    """Sum of the IoUs of matched lesions over the mean number of lesions; 0 when one mask is empty.

    Matches have an IoU above 1/2. Kirillov et al. 2019; the product of segmentation and recognition quality.
    """
    found = pair.once(lesions)
    return ratio(2 * float(found.ious.sum()), found.true + found.predicted)
