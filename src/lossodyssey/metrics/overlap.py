"""Measures of the four counts: true and false positives, false and true negatives."""

from __future__ import annotations

import math

import numpy as np

from lossodyssey.metrics.masks import MaskPair
from lossodyssey.metrics.measure import measure


def ratio(part: float, whole: float) -> float:
    """Divide; NaN where the whole is 0."""
    # NaN, not 0 or 1: nothing was there to find, and `status_of` says which mask was empty.
    return part / whole if whole else math.nan


@measure("DSC")
def dice(pair: MaskPair) -> float:
    """Dice similarity coefficient, 2 TP / (2 TP + FP + FN); 0 when one mask is empty.

    Dice 1945. Same number: surface-distance `compute_dice_coefficient`, MedPy `dc`, MONAI `compute_dice`, nnU-Net.
    They differ where both masks are empty (NaN here).
    """
    n = pair.counts
    return ratio(2 * n.tp, 2 * n.tp + n.fp + n.fn)


@measure("IoU")
def intersection_over_union(pair: MaskPair) -> float:
    """Jaccard index, TP / (TP + FP + FN); 0 when one mask is empty.

    Jaccard 1912. Same number: MONAI `compute_iou`, MedPy `jc`, SimpleITK `GetJaccardCoefficient`.
    """
    n = pair.counts
    return ratio(n.tp, n.tp + n.fp + n.fn)


@measure("precision", undefined="prediction empty")
def precision(pair: MaskPair) -> float:
    """Share of the predicted voxels that are right, TP / (TP + FP).

    Same number: MedPy `precision`, MetricsReloaded `positive_predictive_value`.
    """
    return ratio(pair.counts.tp, pair.prediction_size)


@measure("recall", undefined="truth empty")
def recall(pair: MaskPair) -> float:
    """Share of the true voxels that were found, TP / (TP + FN); also called sensitivity.

    Same number: MedPy `recall`, MetricsReloaded `sensitivity`.
    """
    return ratio(pair.counts.tp, pair.truth_size)


@measure("volume_error", undefined="never")
def volume_error(pair: MaskPair) -> float:
    """Predicted volume minus true volume, in mm^3 (2D: area in mm^2)."""
    return (pair.prediction_size - pair.truth_size) * float(np.prod(pair.spacing))


@measure("relative_volume_error", undefined="truth empty")
def relative_volume_error(pair: MaskPair) -> float:
    """Predicted volume minus true volume, over the true volume.

    Same number: MedPy `ravd`; its absolute value is MetricsReloaded's `absolute_volume_difference_ratio`.
    """
    return ratio(pair.prediction_size - pair.truth_size, pair.truth_size)


@measure("absolute_volume_error", undefined="never")
def absolute_volume_error(pair: MaskPair) -> float:
    """Absolute difference of the volumes, in mm^3 (2D: mm^2): the size of `volume_error`."""
    return abs(volume_error.of(pair))
