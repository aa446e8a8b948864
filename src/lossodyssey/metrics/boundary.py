"""Measures of the distance between two surfaces.

Two sets of points stand for a surface. *Surface elements* lie between voxels and are weighted by their area: NSD,
HD, HD95_surfel, ASSD, MASD. *Border voxels* are foreground voxels that touch the background through a face and weigh
1 each: HD95, HD95_pooled, boundary_F1 and everything named `_voxel`. Outside the image is background.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps

import numpy as np

from lossodyssey.metrics.distances import DirectedDistances, SurfacePair
from lossodyssey.metrics.masks import MaskPair
from lossodyssey.metrics.measure import Measure, measure
from lossodyssey.metrics.overlap import ratio

TIE = 1e-6  # of the largest spacing: headers hold 0.8 as float32, so three steps of it read 2.40000004


def distance(name: str) -> Callable[[Callable[[MaskPair], float]], Measure]:
    """Register a distance in mm, undefined as soon as one of the surfaces is not there."""

    def register(function: Callable[[MaskPair], float]) -> Measure:
        @wraps(function)
        def defined(pair: MaskPair) -> float:
            return function(pair) if pair.prediction_size and pair.truth_size else math.nan

        facts = measure(name, undefined="one or both empty")
        return facts(defined)

    return register


def _within(directed: DirectedDistances, tolerance: float) -> float:
    """Sum the weight of the source's points that lie within `tolerance` mm of the target."""
    limit = tolerance + TIE * max(directed.source.spacing)
    return float(directed.weights[directed.up_to(limit) <= limit].sum())


def _surface_dice(surfaces: SurfacePair, tolerance: float) -> float:
    # Written so that NaN is refused, too.
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; expected a distance in mm, 0 or more")

    # Pooled over both surfaces, as Nikolov et al. 2021: the mean of the two shares would be another number.
    near = sum(_within(directed, tolerance) for directed in surfaces.both_ways)
    return ratio(near, sum(float(directed.weights.sum()) for directed in surfaces.both_ways))


@measure("NSD", parameter="tolerance in mm, default 1")
def nsd(pair: MaskPair, tolerance: float = 1.0) -> float:
    """Normalised surface Dice: share of both surfaces that lies within `tolerance` mm of the other, by area.

    Pooled over both directions; 0 when one mask is empty. A distance counts as within the tolerance up to
    tolerance + 1e-6 of the largest spacing, so that rounding does not decide ties. Nikolov et al. 2021. Same number:
    surface-distance `compute_surface_dice_at_tolerance`, MONAI `compute_surface_dice(use_subvoxels=True)`.
    """
    return _surface_dice(pair.elements, tolerance)


@measure("NSD_voxel", parameter="tolerance in mm, default 1")
def nsd_voxel(pair: MaskPair, tolerance: float = 1.0) -> float:
    """Normalised surface Dice of unweighted border voxels: MONAI's and MetricsReloaded's default.

    The tie rule of `NSD`. Same number: MONAI `compute_surface_dice`, MetricsReloaded `normalised_surface_distance`.
    """
    return _surface_dice(pair.borders, tolerance)


@measure("boundary_F1", parameter="tolerance in mm, default 1")
def boundary_f1(pair: MaskPair, tolerance: float = 1.0) -> float:
    """Harmonic mean of the shares of predicted and of true border voxels within `tolerance` mm of the other border.

    0 when one mask is empty. Csurka et al. 2013; the tie rule of `NSD`.
    """
    precision, recall = boundary_precision_recall(pair, tolerance)
    if pair.prediction_size and pair.truth_size:
        # Two borders that are nowhere near each other score 0: the quotient 0 / 0 stands for no agreement.
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return 0.0 if pair.prediction_size or pair.truth_size else math.nan


def boundary_precision_recall(pair: MaskPair, tolerance: float = 1.0) -> tuple[float, float]:
    """Return the shares of predicted and of true border voxels within `tolerance` mm of the other border."""
    shares = [ratio(_within(d, tolerance), float(d.weights.sum())) for d in pair.borders.both_ways]
    return shares[0], shares[1]


def _largest(surfaces: SurfacePair) -> float:
    return float(max(directed.values.max() for directed in surfaces.both_ways))


@distance("HD")
def hausdorff(pair: MaskPair) -> float:
    """Hausdorff distance: the largest distance in mm from a surface element to the other surface.

    Same number: surface-distance `compute_robust_hausdorff(percent=100)`.
    """
    return _largest(pair.elements)


@distance("HD_voxel")
def hausdorff_voxel(pair: MaskPair) -> float:
    """Hausdorff distance in mm between border voxels.

    Same number: MONAI `compute_hausdorff_distance`, MedPy `hd`, MetricsReloaded, SimpleITK, panoptica.
    """
    return _largest(pair.borders)


@distance("HD95")
def hausdorff95(pair: MaskPair) -> float:
    """Larger of the two directed 95th percentiles of the distances in mm between border voxels.

    Percentiles interpolate linearly. Same number: MONAI `compute_hausdorff_distance(percentile=95)`, MetricsReloaded
    `measured_hausdorff_distance_perc`. Other tools give other numbers under this name: `HD95_pooled`, `HD95_surfel`.
    """
    return max(float(np.percentile(directed.values, 95)) for directed in pair.borders.both_ways)


@distance("HD95_pooled")
def hausdorff95_pooled(pair: MaskPair) -> float:
    """95th percentile of the distances in mm between border voxels of both directions together.

    Never above `HD95`. Same number: MedPy `hd95`, panoptica.
    """
    return float(np.percentile(np.concatenate([d.values for d in pair.borders.both_ways]), 95))


@distance("HD95_surfel")
def hausdorff95_surfel(pair: MaskPair) -> float:
    """Larger of the two directed 95th percentiles in mm of surface elements, weighted by area.

    The smallest distance at which 95 % of the area is reached, without interpolation. Same number: surface-distance
    `compute_robust_hausdorff(percent=95)`.
    """
    # The larger of two percentiles, not the percentile of both: surface-distance's definition.
    return max(_area_percentile(directed, 0.95) for directed in pair.elements.both_ways)


def _area_percentile(directed: DirectedDistances, share: float) -> float:
    # The first distance at which the area reaches the share; rounding may leave the last sum just below it.
    order = np.argsort(directed.values)
    weights = directed.weights[order]
    place = int(np.searchsorted(np.cumsum(weights) / weights.sum(), share))
    return float(directed.values[order[min(place, order.size - 1)]])


def _directed_mean(directed: DirectedDistances) -> float:
    return float(np.average(directed.values, weights=directed.weights))


def _pooled_mean(surfaces: SurfacePair) -> float:
    total = sum(float(directed.values @ directed.weights) for directed in surfaces.both_ways)
    return total / sum(float(directed.weights.sum()) for directed in surfaces.both_ways)


def _mean_of_means(surfaces: SurfacePair) -> float:
    return sum(_directed_mean(directed) for directed in surfaces.both_ways) / 2


@distance("ASSD")
def average_symmetric_surface_distance(pair: MaskPair) -> float:
    """Mean distance in mm of both surfaces to each other, pooled over both and weighted by area.

    Same number: surface-distance's distances and areas of both directions in one weighted mean.
    """
    # A large surface counts more than a small one here; `MASD` gives both directions the same weight.
    return _pooled_mean(pair.elements)


@distance("ASSD_voxel")
def average_symmetric_surface_distance_voxel(pair: MaskPair) -> float:
    """Mean distance in mm of the border voxels of both masks to the other border.

    Same number: MONAI `compute_average_surface_distance(symmetric=True)`, MedPy 0.5.2 `assd`, MetricsReloaded
    `measured_average_distance`.
    """
    return _pooled_mean(pair.borders)


@distance("MASD")
def mean_average_surface_distance(pair: MaskPair) -> float:
    """Mean in mm of the two directed mean distances, `ASD_truth_to_pred` and `ASD_pred_to_truth`.

    Same number: the mean of the two that surface-distance `compute_average_surface_distance` gives.
    """
    return _mean_of_means(pair.elements)


@distance("MASD_voxel")
def mean_average_surface_distance_voxel(pair: MaskPair) -> float:
    """Mean in mm of the two directed mean distances of border voxels.

    Same number: MetricsReloaded `measured_masd`, panoptica (which calls it ASSD).
    """
    return _mean_of_means(pair.borders)


@distance("ASD_truth_to_pred")
def truth_to_prediction(pair: MaskPair) -> float:
    """Mean distance in mm from the true surface to the predicted one, weighted by area: how much was missed.

    Same number: the first of surface-distance `compute_average_surface_distance`.
    """
    return _directed_mean(pair.elements.truth_to_prediction)


@distance("ASD_pred_to_truth")
def prediction_to_truth(pair: MaskPair) -> float:
    """Mean distance in mm from the predicted surface to the true one, weighted by area: how much was invented.

    Same number: the second of surface-distance `compute_average_surface_distance`.
    """
    return _directed_mean(pair.elements.prediction_to_truth)
