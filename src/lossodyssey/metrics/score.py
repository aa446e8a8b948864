"""All measures of all classes of one case in one pass over its two label maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lossodyssey.metrics.masks import (
    Forecast,
    Mask,
    MaskPair,
    as_array,
    as_spacing,
    check_shapes,
    foreground_box,
    pair_in_box,
)
from lossodyssey.metrics.measure import Measure, find_measure
from lossodyssey.metrics.undefined import Status, status_of

Label: TypeAlias = int | tuple[int, ...]
"""The number of a class, or the numbers of all classes that make a region."""

LabelMap = npt.NDArray[np.integer[Any]]
Box = tuple[slice, ...]
DEFAULT = ("DSC", "NSD", "HD95")
DENSE = 1 << 16  # labels up to here are looked up by position
SLAB = 1 << 22  # voxels looked at together
ROUNDING = 1e-4  # of a label


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of one class or region; `value` is NaN wherever `status` is not "ok".

    `size` is the true volume in mm^3 (2D: mm^2).
    """

    label: Label
    metric: str
    value: float
    status: Status
    size: float = math.nan


class Scores(tuple[Score, ...]):
    """The scores of one case, by label and in the order the metrics were asked for; prints as a table."""

    def value(self, label: Label, metric: str) -> float:
        """Look up one value.

        Raises:
            KeyError: it was not asked for.
            ValueError: there is no such metric.
        """
        name = _parse(metric, {}).metric
        for score in self:
            if (score.label, score.metric) == (label, name):
                return score.value
        raise KeyError(f"no {metric!r} of label {label}")

    def __repr__(self) -> str:
        labels = list(dict.fromkeys(score.label for score in self))
        columns = [[metric, *(_cell(score) for score in self if score.metric == metric)] for metric in self._metrics()]
        columns = [["label", *map(str, labels)], *columns]
        widths = [max(len(cell) for cell in column) for column in columns]
        rows = zip(*columns, strict=True)
        lines = ("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(lines) if self else "no class to score"

    def _metrics(self) -> list[str]:
        return list(dict.fromkeys(score.metric for score in self))


def _cell(score: Score) -> str:
    return f"{score.value:.4f}" if score.status == "ok" else score.status


@dataclass(frozen=True, slots=True)
class Column:
    """A measure as it was asked for: its full name, and the tolerance or width for all or for each class."""

    metric: str
    measure: Measure
    at: float | Mapping[Label, float] | None

    def score(self, label: Label, pair: MaskPair, forecast: Forecast | None = None) -> Score:
        """Apply the measure to one class; `forecast` is for a measure of probabilities."""
        value = self.measure.value(forecast or pair, self._parameter(label))
        status = status_of(value, pair.prediction_size, pair.truth_size)
        return Score(label, self.metric, value, status, pair.truth_volume)

    def _parameter(self, label: Label) -> float | None:
        if not isinstance(self.at, Mapping):
            return self.at
        if label not in self.at:
            raise ValueError(f"metric {self.metric!r}: tolerances has no entry for label {label}, only {dict(self.at)}")
        return self.at[label]


def score(
    prediction: Any,
    truth: Any,
    *,
    spacing: Sequence[float] | None = None,
    labels: Sequence[Label] | None = None,
    ignore: int | None = None,
    metrics: Sequence[str] = DEFAULT,
    tolerances: Mapping[Label, float] | None = None,
    probabilities: Mapping[Label, Any] | None = None,
) -> Scores:
    """Score a predicted label map against the true one, class by class.

    `prediction`, `truth`: integer label maps of equal shape, 2D or 3D, NumPy or torch, any labels; 0 is background.
    `spacing`: mm per array axis, default 1. `labels`: the classes to score, default all that occur in either map; a
    tuple of labels is a region, such as (1, 2, 3). `ignore`: the true label of voxels that count in neither map.
    `metrics`: names of `MEASURES`, in any usual spelling, with a tolerance or width after @ where one is taken: "NSD"
    (1 mm), "NSD@2", or "NSD@class", which takes the mm of each class from `tolerances`. `probabilities`: a map of the
    shape of the truth for each label, for measures of them (ECE). Values are NaN where a measure is undefined, and the
    status says why.

    Raises:
        ValueError: shapes differ, labels are not whole numbers or one asked for is ignored, a metric is unknown or its
            parameter does not fit, or a label lacks the probabilities that a metric needs.
    """
    prediction, truth = _as_labels(prediction, "prediction"), _as_labels(truth, "truth")
    check_shapes(prediction, truth)
    steps = as_spacing(spacing, truth.ndim)
    wanted = parse_metrics(metrics, tolerances, probabilities=probabilities is not None)
    check_labels(labels, ignore)
    pairs = class_pairs(prediction, truth, steps, labels, ignore)
    forecast = partial(_forecast, probabilities or {}, truth, ignore)
    return Scores(
        column.score(label, pair, forecast(label) if column.measure.of_probabilities else None)
        for label, pair in pairs
        for column in wanted
    )


def _forecast(probabilities: Mapping[Label, Any], truth: LabelMap, ignore: int | None, label: Label) -> Forecast:
    """Lay the probabilities of one label beside its truth, at the voxels that count."""
    if label not in probabilities:
        raise ValueError(f"probabilities has no entry for label {label}, only {list(probabilities)}")
    claimed = as_array(probabilities[label], f"probabilities of label {label}")
    if claimed.shape != truth.shape:
        raise ValueError(f"probabilities of label {label} have shape {claimed.shape}; expected {truth.shape}")
    right = _carries(truth, label if isinstance(label, tuple) else (label,))
    kept = np.ones(truth.shape, np.bool_) if ignore is None else truth != ignore
    return Forecast(claimed[kept].astype(np.float64), right[kept].astype(np.float64))


def _as_labels(array: Any, name: str) -> LabelMap:
    labels = as_array(array, name)
    if labels.dtype.kind in "iu":
        return labels
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype.kind == "f" and _rounding_error(labels) <= ROUNDING:
        whole: LabelMap = np.rint(labels).astype(np.int64)
        return whole
    raise ValueError(f"{name} ({labels.dtype}) holds values that are not whole numbers; expected class labels")


def check_labels(labels: Sequence[Label] | None, ignore: int | None) -> None:
    """Check the labels to score.

    Raises:
        ValueError: one is neither a number nor a tuple of numbers, or it is the ignored one.
    """
    for label in labels or ():
        if isinstance(label, (list, set)) or label == ():
            raise ValueError(f"labels holds {label!r}; expected a number, or a tuple of numbers that make a region")
        if ignore is not None and ignore in (label if isinstance(label, tuple) else (label,)):
            raise ValueError(f"labels holds {label!r}, but voxels of label {ignore} are ignored; expected other labels")


def _rounding_error(labels: npt.NDArray[np.floating[Any]]) -> float:
    """Return the largest distance to a whole number; headers that scale their values leave 0.9999999998 of a 1."""
    # An infinite label gives inf - inf: NaN, which no tolerance admits.
    with np.errstate(invalid="ignore"):
        return float(np.abs(labels - np.rint(labels)).max(initial=0))


def parse_metrics(
    metrics: Sequence[str], tolerances: Mapping[Label, float] | None = None, *, probabilities: bool = False
) -> list[Column]:
    """Look up each name, with the parameter after its @; one column each, under the measure's own name.

    Raises:
        ValueError: a name is unknown, a parameter does not fit, or a measure needs probabilities where there are none.
    """
    columns = [_parse(metric, tolerances) for metric in metrics]
    for column in columns:
        if column.measure.of_probabilities and not probabilities:
            raise ValueError(
                f"metric {column.metric!r} is of probabilities, which label maps do not hold; a comparison of losses "
                "keeps them where its plan asks for the metric, and score() takes probabilities={label: map}"
            )
    return list({column.metric: column for column in columns}.values())


def _parse(metric: str, tolerances: Mapping[Label, float] | None) -> Column:
    name, at, parameter = metric.partition("@")
    measure = find_measure(name)
    if not at:
        return Column(measure.name, measure, None)
    if not measure.parameter:
        raise ValueError(f"metric {metric!r}: {measure.name} takes nothing after @")
    if parameter == "class":
        if tolerances is None:
            raise ValueError(f"metric {metric!r} needs tolerances={{label: mm}}")
        return Column(f"{measure.name}@class", measure, tolerances)
    number = _number(metric, parameter, measure)
    # One name for one measure: NSD is NSD@1.
    text = "" if number == measure.default else f"@{str(number).removesuffix('.0')}"
    return Column(measure.name + text, measure, number)


def _number(metric: str, parameter: str, measure: Measure) -> float:
    with suppress(ValueError):
        if 0 <= (number := float(parameter)) < np.inf:
            return number
    raise ValueError(f"metric {metric!r}: {parameter!r} is not a number of 0 or more ({measure.parameter})")


def class_pairs(
    prediction: LabelMap,
    truth: LabelMap,
    spacing: tuple[float, ...],
    labels: Sequence[Label] | None,
    ignore: int | None = None,
    check: Callable[[Collection[int], Collection[int]], None] = lambda predicted, true: None,
) -> Iterator[tuple[Label, MaskPair]]:
    """Cut out each class or region once, cropped to the box that holds it in both maps.

    `check` is called before the first of them with the labels found in the prediction and in the truth, except 0 and
    those in ignored voxels.

    Raises:
        ValueError: a region holds the background while voxels are ignored.
    """
    ignored = 0
    if ignore is not None:
        # Ignored voxels become background in both maps: then only the true negatives have to know of them.
        dropped = truth == ignore
        ignored = int(np.count_nonzero(dropped))
        prediction, truth = (np.where(dropped, labelled.dtype.type(0), labelled) for labelled in (prediction, truth))

    boxes = [_boxes(labelled) for labelled in (prediction, truth)]
    check(boxes[0].keys(), boxes[1].keys())
    # A prediction may copy the ignored label; where the truth does not have it, it counts as background, as in nnU-Net.
    found = sorted((boxes[0].keys() | boxes[1].keys()) - {0, ignore})

    for label in found if labels is None else labels:
        parts = label if isinstance(label, tuple) else (label,)
        box = _union([found[part] for found in boxes for part in parts if part in found], truth.ndim)
        if 0 in parts:
            if ignored:
                raise ValueError(f"label {label} holds the background, which cannot be told from ignored voxels")
            box = tuple(slice(0, size) for size in truth.shape)
        yield label, pair_in_box((prediction, truth), box, partial(_carries, parts=parts), spacing, ignored)


def _carries(labels: LabelMap, parts: Sequence[int]) -> Mask:
    """Mark the voxels whose label is one of `parts`."""

    mask: Mask = labels == parts[0]
    for part in parts[1:]:
        mask |= labels == part
    return mask


def _boxes(labels: LabelMap) -> dict[int, Box]:
    """Find the box of every label but 0; `find_objects` looks only where there is foreground, for it is slow."""
    around = foreground_box(labels)
    inside = labels[around]
    if inside.size == 0:
        return {}
    least, most = int(inside.min()), int(inside.max())
    if (least, most) in ((0, 1), (1, 1)):
        return {1: around}
    if least >= 0 and most <= DENSE:
        names, found = list(range(1, most + 1)), ndimage.find_objects(inside)
    else:
        names, ranks = _ranked(inside)
        found = ndimage.find_objects(ranks)
    return {name: _shift(box, around) for name, box in zip(names, found, strict=True) if name and box is not None}


def _ranked(labels: LabelMap) -> tuple[list[int], npt.NDArray[np.unsignedinteger[Any]]]:
    """Replace labels by their ranks from 1; slab by slab, because the ranks of NumPy take 16 bytes a voxel."""
    step = max(1, SLAB // max(labels[0].size, 1))
    slabs = [slice(start, start + step) for start in range(0, len(labels), step)]
    known = np.unique(np.concatenate([np.unique(labels[slab]) for slab in slabs]))
    ranks = np.empty(labels.shape, np.uint16 if known.size < 2**16 else np.uint32)
    for slab in slabs:
        ranks[slab] = np.searchsorted(known, labels[slab]) + 1
    return known.tolist(), ranks


def _shift(box: Box, around: Box) -> Box:
    return tuple(slice(s.start + o.start, s.stop + o.start) for s, o in zip(box, around, strict=True))


def _union(boxes: list[Box], dimensions: int) -> Box:
    if not boxes:
        return (slice(0, 0),) * dimensions
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))
