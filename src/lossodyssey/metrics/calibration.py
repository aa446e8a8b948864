"""Whether predicted probabilities are as often right as they claim."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lossodyssey.metrics.masks import Forecast, as_array
from lossodyssey.metrics.measure import measure

Norm = Literal["l1", "l2", "max"]
BINS = 10


@measure("ECE", undefined="every voxel ignored", of_probabilities=True)
def calibration_error(forecast: Forecast) -> float:
    """Mean gap between the probability of one class and its frequency, over 10 bins of equal width, by their voxels.

    One class against the rest, over all voxels that count: `expected_calibration_error` with a label and its defaults.
    """
    return _error(forecast, BINS, "l1")


def expected_calibration_error(
    probabilities: Any,
    truth: Any,
    *,
    label: int | None = None,
    bins: int = BINS,
    norm: Norm = "l1",
    ignore: int | None = None,
) -> float:
    """Compute the mean gap between confidence and accuracy over `bins` bins (lower, upper] of equal width.

    `probabilities` (C, *S) sum to 1 over C; `truth` (*S) holds class numbers below C, or `ignore` where a voxel does
    not count. With `label=None` a voxel's confidence is its largest probability, and it is right if that class is the
    true one; with a label, confidence is that class's probability, right where the truth is that class. `norm`: "l1"
    weighs the gaps by the voxels in the bin, "l2" is their weighted root mean square, "max" the largest gap. Between 0
    and 1, 0 is best; NaN where no voxel counts. Naeini et al. 2015, Guo et al. 2017. Same number: torchmetrics
    `multiclass_calibration_error`.

    Raises:
        ValueError: `norm`, `bins`, `label` or a value of `truth` is out of range, or the shapes do not fit each other.
    """
    if norm not in get_args(Norm) or bins < 1:
        raise ValueError(f"norm is {norm!r} and bins {bins}; expected one of {get_args(Norm)} and 1 or more")

    return _error(_forecast(probabilities, truth, label, ignore), bins, norm)


def _error(forecast: Forecast, bins: int, norm: Norm) -> float:
    confidence, right = forecast.probability, forecast.outcome
    # Bins are (lower, upper]: ceil puts an edge into the bin below it, and 0 into the first.
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    voxels = np.bincount(places, minlength=bins)

    # |sum of (right - confidence)| per bin is the bin's gap times its voxels, so one weighted count gives both.
    gaps = np.abs(np.bincount(places, right - confidence, minlength=bins))
    filled = voxels > 0
    return _combine(gaps[filled] / voxels[filled], voxels[filled] / max(confidence.size, 1), norm)


def _forecast(probabilities: Any, truth: Any, label: int | None, ignore: int | None) -> Forecast:
    labels = as_array(truth, "truth")
    if hasattr(probabilities, "detach"):
        probabilities = probabilities.detach().cpu()
    shares = np.asarray(probabilities, np.float64)
    if shares.shape[1:] != labels.shape:
        raise ValueError(f"probabilities have shape {shares.shape}; expected (classes, {str(labels.shape)[1:]}")
    if label is not None and not 0 <= label < len(shares):
        raise ValueError(f"label is {label}; expected 0 to {len(shares) - 1}, a channel of probabilities")

    kept = np.ones(labels.shape, np.bool_) if ignore is None else labels != ignore
    shares, labels = shares[:, kept], labels[kept]
    strange = labels[(labels < 0) | (labels >= len(shares))]
    if strange.size:
        raise ValueError(
            f"truth holds {strange[0]}, but probabilities have {len(shares)} channels, classes 0 to {len(shares) - 1}; "
            "change the label, or give ignore if such voxels do not count"
        )
    if label is None:
        return Forecast(shares.max(axis=0), (shares.argmax(axis=0) == labels).astype(np.float64))
    return Forecast(shares[label], (labels == label).astype(np.float64))


def _combine(gaps: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], norm: Norm) -> float:
    if gaps.size == 0:
        return float("nan")
    if norm == "max":
        return float(gaps.max())
    return float(gaps @ shares if norm == "l1" else np.sqrt(gaps**2 @ shares))
