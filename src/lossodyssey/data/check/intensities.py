"""Whether images hold usable values, and whether some are on another scale than the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data.check.finding import Finding
from lossodyssey.data.layouts import Case, Dataset

if TYPE_CHECKING:
    from lossodyssey.data.check.sight import Sight

SAMPLE = 20_000  # values of a channel that its percentiles are taken from
FAR = 1.5  # decades from the median scale, from which on a case is reported
PATCHY = 0.8  # share of equal neighbours in a label map


@dataclass(frozen=True)
class Intensities:
    """Per channel the smallest and largest value, and the width between percentiles 0.5 and 99.5; `levels` of all.

    `levels` are the distinct values where they are few and whole, else empty.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    width: tuple[float, ...]
    levels: tuple[int, ...]


def intensities(dataset: Dataset, case: Case, image: NDArray[np.float32]) -> tuple[Intensities, list[Finding]]:
    """Describe the values of an image (C, *S), and find those that spoil a training."""
    finite = np.isfinite(image)
    broken = int(image.size - np.count_nonzero(finite))
    values = image if not broken else np.where(finite, image, np.float32(0))
    found = [] if not broken else [_error(case, f"{broken} values are NaN or infinite", "replace them")]
    if len(image) != len(dataset.channels):
        seen = f"image has {len(image)} channels, dataset.json names {len(dataset.channels)}"
        found.append(_error(case, seen, "correct one of them (a picture's last channel may be its transparency)"))
    if broken == image.size:
        return Intensities((), (), (), ()), found

    told = _described(values, max(dataset.known_labels))
    flat = [number for number, (low, high) in enumerate(zip(told.low, told.high, strict=True)) if not low < high]
    if flat:
        seen = f"every value of channel {', '.join(map(str, flat))} is {told.low[flat[0]]:g}"
        found.append(Finding("warning", "intensities", (case.name,), seen, "look at the file: it shows nothing"))
    elif told.levels and set(told.levels) <= {*dataset.known_labels, 255} and _patchy(image):
        seen = f"the image holds the values {list(told.levels)} alone, as a label map does"
        found.append(Finding("warning", "pairing", (case.name,), seen, "are image and label exchanged?"))
    return told, found


def _error(case: Case, seen: str, fix: str) -> Finding:
    return Finding("error", "intensities", (case.name,), seen, fix)


def _described(image: NDArray[np.float32], most: int) -> Intensities:
    """Describe values; levels are listed where they could all be labels up to `most`, or 255."""
    flat = image.reshape(len(image), -1)
    some = flat[:, :: max(1, flat.shape[1] // SAMPLE)]
    low, high = flat.min(axis=1), flat.max(axis=1)
    width = np.percentile(some, 99.5, axis=1) - np.percentile(some, 0.5, axis=1)
    return Intensities(_floats(low), _floats(high), _floats(width), _levels(flat, some, most + 2))


def _levels(flat: NDArray[np.float32], some: NDArray[np.float32], most: int) -> tuple[int, ...]:
    # A sample saves sorting millions of values where it has too many levels already.
    if len(np.unique(some)) > most or not (flat == np.rint(flat)).all():
        return ()
    levels = np.unique(flat)
    return tuple(int(level) for level in levels) if len(levels) <= most else ()


def _patchy(image: NDArray[np.float32]) -> bool:
    """Return whether nearly all neighbours are equal, as inside objects of a label map."""
    return bool(np.mean(image[..., 1:] == image[..., :-1]) > PATCHY) if image.shape[-1] > 1 else False


def _floats(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def intensities_of_all(sights: Sequence[Sight]) -> list[Finding]:
    """Find cases whose scale of intensities is orders of magnitude away from the others'."""
    widths = {s.name: max(s.intensities.width) for s in sights if s.intensities and s.intensities.width}
    scales = {name: math.log10(width) for name, width in widths.items() if width > 0}
    if len(scales) < 3:
        return []
    usual = float(np.median(list(scales.values())))
    far = tuple(name for name, scale in scales.items() if abs(scale - usual) > FAR)
    if not far:
        return []
    lowest, highest = (10 ** pick(scales.values()) for pick in (min, max))
    seen = f"the range of intensities runs from {lowest:.3g} to {highest:.3g} between cases, median {10**usual:.3g}"
    return [Finding("note", "intensities", far, seen, "normalise each case by itself, as the light engine does")]
