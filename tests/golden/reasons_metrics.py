"""Why a tool's number may differ from the package's: by measure, tool and kind of mask, never by value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossodyssey.metrics.masks import MaskPair

When = Callable[[MaskPair, dict[str, Any]], bool]


def always(_: MaskPair, __: Any) -> bool:
    return True


def truth_empty(pair: MaskPair, _: Any) -> bool:
    return pair.truth_size == 0


def pred_empty(pair: MaskPair, _: Any) -> bool:
    return pair.prediction_size == 0


def both_empty(pair: MaskPair, _: Any) -> bool:
    return pair.truth_size == pair.prediction_size == 0


def any_empty(pair: MaskPair, _: Any) -> bool:
    return pair.truth_size == 0 or pair.prediction_size == 0


def one_empty(pair: MaskPair, _: Any) -> bool:
    return (pair.truth_size == 0) != (pair.prediction_size == 0)


def identical(pair: MaskPair, _: Any) -> bool:
    return np.array_equal(pair.truth, pair.prediction)


def tie(pair: MaskPair, params: dict[str, Any]) -> bool:
    """Is some distance the tolerance itself, but for float32 rounding?"""
    distances = np.concatenate([directed.values for directed in pair.borders.both_ways])
    return bool(np.isclose(distances, params["tolerance_mm"], rtol=1e-6, atol=0).any())


@dataclass(frozen=True)
class Rule:
    """Excuse records of these measures and tools (starts of their names) where `when` holds of the masks."""

    measures: str
    tools: tuple[str, ...]
    when: When
    why: str

    def covers(self, measure: str, tool: str, pair: MaskPair, params: dict[str, Any]) -> bool:
        return measure in self.measures.split() and tool.startswith(self.tools) and self.when(pair, params)


MEDPY, MONAI, RELOADED, DISTORCH = "medpy", "monai", "MetricsReloaded", "distorch"
SITK, SEGMETRICS, PANOPTICA, TORCHMETRICS = "SimpleITK", "seg_metrics", "panoptica", "torchmetrics"
SURFACE_DISTANCE, DERIVED = "surface_distance", "derived from surface_distance"

RULES = (
    # Other definitions under the same name.
    Rule("NSD", ("distorch.boundary",), always, "points are voxel vertices weighted by an effective size"),
    Rule("ASSD", ("distorch.boundary",), always, "points are voxel vertices weighted by an effective size"),
    Rule("HD HD95 MSD", (SEGMETRICS,), always, "distances are read off a signed map at a corner-connected contour"),
    Rule("average_HD", (SITK,), always, "averages over filled masks, inside included: no distance of surfaces"),
    Rule("boundary_IoU", (RELOADED,), always, "its band is Euclidean and leaves out the distance d itself"),
    # Defects.
    Rule("HD", (TORCHMETRICS,), always, "rejects volumes and is wrong or fails on pictures"),
    Rule("NSD", ("distorch.pixel_center",), identical, "gives 0 for identical masks"),
    Rule("NSD", ("distorch.pixel_center",), tie, "float32 rounding decides distances equal to the tolerance"),
    Rule(
        "NSD", (RELOADED,), any_empty, "takes the distance to an empty mask from an undefined transform, or calls it 1"
    ),
    # A number where there is none: undefined here.
    Rule("DSC IoU", (MEDPY, RELOADED, SEGMETRICS), both_empty, "calls two empty masks perfect"),
    Rule("DSC", ("monai.compute_dice",), both_empty, "calls two empty masks perfect if told not to ignore them"),
    Rule("DSC", (SURFACE_DISTANCE,), both_empty, "fails with NumPy 2"),
    Rule("DSC IoU volume_similarity", (SITK, TORCHMETRICS), both_empty, "divides 0 by 0 and gives what comes"),
    Rule("precision", (MEDPY, RELOADED, SEGMETRICS), pred_empty, "gives a number for 0 / 0"),
    Rule("recall", (MEDPY, SEGMETRICS), truth_empty, "gives a number for 0 / 0"),
    Rule("boundary_F1", ("definition",), one_empty, "gives 0 for the share of an empty border"),
    Rule("HD HD95 ASSD MASD", (MEDPY, SITK), any_empty, "raises an error"),
    Rule("HD HD95", (PANOPTICA,), any_empty, "raises an error or gives a meaningless number"),
    Rule("HD HD95 ASSD MASD", (RELOADED,), both_empty, "calls two empty masks perfect"),
    Rule("HD HD95 ASSD ASD_directed", (SURFACE_DISTANCE, DERIVED, MONAI), any_empty, "gives infinity"),
    # No number where there is one.
    Rule("DSC IoU", (MONAI,), truth_empty, "leaves out every case with an empty truth"),
    Rule("relative_volume_difference", (MEDPY,), truth_empty, "raises an error"),
)


def reason(measure: str, tool: str, pair: MaskPair, params: dict[str, Any]) -> str | None:
    """Find the reason, if any, why this tool's number for this pair may differ."""
    return next((rule.why for rule in RULES if rule.covers(measure, tool, pair, params)), None)
