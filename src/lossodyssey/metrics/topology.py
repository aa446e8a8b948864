"""Measures of shape rather than size: centre lines and the numbers of pieces, tunnels and cavities."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lossodyssey.metrics.masks import Mask, MaskPair, count
from lossodyssey.metrics.measure import measure
from lossodyssey.metrics.overlap import ratio
from lossodyssey.metrics.surface import neighbour_codes


@measure("clDice", undefined="one or both empty")
def centreline_dice(pair: MaskPair) -> float:
    """Harmonic mean of the share of the predicted centre line inside the truth and the reverse.

    Centre lines are scikit-image's `skeletonize` (Zhang in 2D, Lee in 3D), which must be installed. Shit et al. 2021.
    Same number: MetricsReloaded `centreline_dsc`, panoptica `centerline_dice`.
    """
    precision, sensitivity = centreline_precision_sensitivity(pair)
    # Both centre lines miss the other mask: the harmonic mean's limit, where the formula reads 0 / 0.
    if precision + sensitivity == 0:
        return 0.0
    return 2 * precision * sensitivity / (precision + sensitivity)


def centreline_precision_sensitivity(pair: MaskPair) -> tuple[float, float]:
    """Return the shares of the predicted centre line inside the truth, and of the true one inside the prediction."""
    predicted, true = _centreline(pair.prediction), _centreline(pair.truth)
    return (
        ratio(count(predicted & pair.truth), count(predicted)),
        ratio(count(true & pair.prediction), count(true)),
    )


def _centreline(mask: Mask) -> Mask:
    # scikit-image is asked for only where there is something to thin.
    if not mask.any():
        return mask
    try:
        morphology = import_module("skimage.morphology")
    except ModuleNotFoundError:
        raise ValueError('clDice needs scikit-image: pip install ".[measures]"') from None
    line: Mask = morphology.skeletonize(mask).astype(np.bool_)
    return line


@measure("betti_error", undefined="never")
def betti_error(pair: MaskPair) -> float:
    """Sum of the differences in the numbers of pieces, tunnels (2D: holes) and cavities.

    A plain difference of counts: a piece too many here and one too few there cancel. See `betti_numbers`.
    """
    return float(sum(betti_differences(pair)))


def betti_differences(pair: MaskPair) -> tuple[int, ...]:
    """Return |prediction - truth| of each Betti number."""
    numbers = zip(betti_numbers(pair.prediction), betti_numbers(pair.truth), strict=True)
    return tuple(abs(predicted - true) for predicted, true in numbers)


def betti_numbers(mask: Mask) -> tuple[int, ...]:
    """Count pieces and holes (2D) or pieces, tunnels and cavities (3D).

    Foreground is connected through corners, background through faces; outside the image is background. Tunnels follow
    from the Euler characteristic: pieces - tunnels + cavities.
    """
    pieces = int(ndimage.label(mask, np.ones((3,) * mask.ndim))[1])
    # The padding makes all background outside one piece, which is not enclosed.
    enclosed = int(ndimage.label(~np.pad(mask, 1))[1]) - 1
    if mask.ndim == 2:
        return pieces, enclosed
    # Euler-Poincare: chi = b0 - b1 + b2.
    return pieces, pieces + enclosed - euler_characteristic(mask), enclosed


def euler_characteristic(mask: Mask) -> int:
    """Count corners minus edges plus faces minus cubes of the union of the foreground's closed voxels."""
    # Local counting (Gray 1971): every cell is shared among its grid points, so one histogram of codes is enough.
    shares = _euler_shares(mask.ndim)
    total = np.bincount(neighbour_codes(mask).ravel(), minlength=shares.size) @ shares
    return int(total) // int(2**mask.ndim)


@lru_cache(maxsize=2)
def _euler_shares(dimensions: int) -> npt.NDArray[np.int64]:
    """Tabulate, by neighbour code, 2^n times the share of a grid point in its cells.

    A cell around the point is the product over axes of: the point itself, or the half-edge before or after it. It is
    there if any voxel that touches it is foreground, counts -1 per axis it extends along, and shares itself among the
    2^(extended axes) points at its corners.
    """
    corners = list(product((0, 1), repeat=dimensions))
    shares = np.zeros(1 << len(corners), np.int64)
    codes = np.arange(shares.size)
    for cell in product((None, 0, 1), repeat=dimensions):
        touching = [all(c in (None, v) for c, v in zip(cell, corner, strict=True)) for corner in corners]
        # `neighbour_codes` gives the first voxel in raster order the highest bit.
        bits = sum(1 << (len(corners) - 1 - i) for i, touches in enumerate(touching) if touches)
        extended = sum(side is not None for side in cell)
        shares += np.where(codes & bits, (-1) ** extended * 2 ** (dimensions - extended), 0)
    return shares
