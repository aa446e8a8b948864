"""Account for every record of measured reference values: matched, excused for a written reason, or missed.

    python tests/golden/check_metrics.py --inputs inputs.npz --records metrics.json

A record is what one released tool gives for one measure on one mask pair. It is matched if the package gives the same
number, and excused only by `reasons_metrics.py`, whose rules see the measure, the tool and which masks are empty, never
the value. The last line is `matched M, excused E, missed X of N`; the exit code is 1 if anything was missed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from reasons_metrics import reason
from scipy.special import softmax

from lossodyssey.metrics import boundary, expected_calibration_error
from lossodyssey.metrics.lesions import lesions
from lossodyssey.metrics.masks import MaskPair, mask_pair
from lossodyssey.metrics.measure import MEASURES
from lossodyssey.metrics.topology import betti_differences, betti_numbers, centreline_precision_sensitivity

Record = dict[str, Any]
Answer = Callable[[MaskPair, dict[str, Any]], "float | list[float]"]
EXACT, SINGLE = 1e-9, 2e-5  # absolute and relative; SINGLE for tools that compute in float32
SINGLE_PRECISION = ("monai", "torchmetrics", "distorch", "MetricsReloaded", "seg_metrics")


def main() -> int:
    """Read the arguments, check every record, print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="the .npz file with logits, labels and spacings")
    parser.add_argument("--records", type=Path, required=True, help="the .json file with the references' values")
    arguments = parser.parse_args()
    with np.load(arguments.inputs) as inputs:
        records = json.loads(arguments.records.read_text())["records"]
        outcomes = list(check(dict(inputs), records))
    for (outcome, line), number in sorted(Counter(o for o in outcomes if o[0] != "matched").items()):
        print(f"{outcome} {number}: {line}")
    total = Counter(outcome for outcome, _ in outcomes)
    print(f"matched {total['matched']}, excused {total['excused']}, missed {total['missed']} of {len(records)}")
    return 1 if total["missed"] else 0


def check(inputs: dict[str, Any], records: list[Record]) -> Iterator[tuple[str, str]]:
    """Give ("matched" | "excused" | "missed", why) of each record."""
    pairs: dict[tuple[Any, ...], MaskPair] = {}
    for record in records:
        ours: float | list[float] | None
        key = (record["case"], record["sample"], record["class"], record["mask"])
        if record["metric"] == "ECE":
            ours = calibration(inputs, record)
        else:
            pair = pairs[key] if key in pairs else pairs.setdefault(key, masks(inputs, record))
            answer = find_answer(record["metric"], record["reference"])
            ours = answer(pair, record["params"]) if answer else None
        if ours is not None and same(ours, record["value"], tolerance(record["reference"])):
            yield "matched", ""
        elif record["metric"] != "ECE" and (
            why := reason(record["metric"], record["reference"], pair, record["params"])
        ):
            yield "excused", f"{record['metric']}, {record['reference']}: {why}"
        else:
            yield "missed", f"{record} but {ours}"


def masks(inputs: dict[str, Any], record: Record) -> MaskPair:
    """Build the pair that the record's `mask` describes."""
    case, sample, label = record["case"], record["sample"], record["class"]
    truth = inputs[f"{case}.labels"][sample] == label
    prediction = inputs[f"{case}.logits"][sample].argmax(axis=0) == label
    none = np.zeros_like(truth)
    pair = {
        "real": (prediction, truth),
        "pred_empty": (none, truth),
        "truth_empty": (truth, none),
        "both_empty": (none, none),
        "identical": (truth, truth),
        "truth_all_ones": (truth, ~none),
    }[record["mask"]]
    return mask_pair(*pair, record["spacing"])


def calibration(inputs: dict[str, Any], record: Record) -> float:
    probabilities = softmax(inputs[f"{record['case']}.logits"][record["sample"]], axis=0)
    truth, params = inputs[f"{record['case']}.labels"][record["sample"]], record["params"]
    return expected_calibration_error(probabilities, truth, bins=params.get("bins") or params["n_bins"])


def tolerance(reference: str) -> float:
    return SINGLE if reference.startswith(SINGLE_PRECISION) else EXACT


def same(ours: float | list[float], theirs: Any, tolerance: float) -> bool:
    """Compare numbers or lists; a reference's NaN is the string "nan"."""
    if isinstance(theirs, list):
        return (
            isinstance(ours, list)
            and len(ours) == len(theirs)
            and all(same(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))
        )
    if isinstance(theirs, str) and theirs.startswith("error"):
        return False
    assert isinstance(ours, (float, int))
    value = float(theirs)
    return (math.isnan(ours) and math.isnan(value)) or math.isclose(ours, value, rel_tol=tolerance, abs_tol=tolerance)


def measure(name: str, parameter: str = "") -> Answer:
    """Answer with a measure of the package, as it stands."""
    return lambda pair, params: MEASURES[name].value(pair, params[parameter] if parameter else None)


def shares(directions: tuple[Any, Any], limit: float) -> list[float]:
    """Give, for each direction, the share of the weight within a tolerance, from the package's distances."""
    near = limit + boundary.TIE * max(directions[0].source.spacing)
    return [boundary.ratio(d.weights[d.up_to(near) <= near].sum(), d.weights.sum()) for d in directions]


def both_there(answer: Answer) -> Answer:
    """Answer NaN where a mask is empty."""
    return lambda pair, params: answer(pair, params) if pair.prediction_size and pair.truth_size else math.nan


def counts(pair: MaskPair, _: Any) -> list[float]:
    return [pair.counts.tp, pair.counts.fp, pair.counts.fn, pair.counts.tn]


def volume_similarity(pair: MaskPair, _: Any) -> float:
    return 2 * boundary.ratio(pair.truth_size - pair.prediction_size, pair.truth_size + pair.prediction_size)


def boundary_f1(pair: MaskPair, params: Any) -> list[float]:
    return [
        *boundary.boundary_precision_recall(pair, params["tolerance_mm"]),
        boundary.boundary_f1.value(pair, params["tolerance_mm"]),
    ]


def lesion_counts(pair: MaskPair, _: Any) -> list[float]:
    found = pair.once(lesions)
    return [found.true, found.predicted, found.found, found.predicted - found.confirmed]


def panoptic(pair: MaskPair, _: Any) -> list[float]:
    found = pair.once(lesions)
    return [found.segmentation_quality, found.recognition_quality, MEASURES["PQ"].value(pair)]


def directed_means(pair: MaskPair, _: Any) -> list[float]:
    return [MEASURES[name].value(pair) for name in ("ASD_truth_to_pred", "ASD_pred_to_truth")]


def vertex_percentile(pair: MaskPair, _: Any) -> float:
    return max(float(np.percentile(d.values, 95)) for d in pair.elements.both_ways)


def vertex_mean(pair: MaskPair, _: Any) -> float:
    return float(np.concatenate([d.values for d in pair.elements.both_ways]).mean())


# The number each tool means by a measure's name, first match of (measure, start of the tool's name).
ANSWERS: dict[tuple[str, str], Answer] = {
    ("counts", ""): counts,
    ("DSC", ""): measure("DSC"),
    ("IoU", ""): measure("IoU"),
    ("precision", ""): measure("precision"),
    ("recall", ""): measure("recall"),
    ("volume_error_mm3", ""): measure("volume_error"),
    ("relative_volume_difference", ""): measure("relative_volume_error"),
    ("absolute_volume_difference_ratio", ""): lambda pair, _: abs(MEASURES["relative_volume_error"].value(pair)),
    ("volume_similarity", ""): volume_similarity,
    ("NSD", "surface_distance"): measure("NSD", "tolerance_mm"),
    ("NSD", "monai.compute_surface_dice(use_subvoxels=True)"): measure("NSD", "tolerance_mm"),
    ("NSD", "panoptica"): lambda pair, params: sum(shares(pair.borders.both_ways, params["tolerance_mm"])) / 2,
    ("NSD", "monai"): measure("NSD_voxel", "tolerance_mm"),
    ("NSD", "MetricsReloaded"): measure("NSD_voxel", "tolerance_mm"),
    ("NSD", "distorch.pixel_center"): both_there(measure("NSD_voxel", "tolerance_mm")),
    ("surface_overlap_truth_pred", ""): lambda pair, params: shares(
        (pair.elements.truth_to_prediction, pair.elements.prediction_to_truth), params["tolerance_mm"]
    ),
    ("HD", "surface_distance"): measure("HD"),
    ("HD", "distorch.boundary"): measure("HD"),
    ("HD", ""): measure("HD_voxel"),
    ("HD95", "surface_distance"): measure("HD95_surfel"),
    ("HD95", "medpy"): measure("HD95_pooled"),
    ("HD95", "panoptica"): measure("HD95_pooled"),
    ("HD95", "distorch.boundary"): both_there(vertex_percentile),
    ("HD95", ""): measure("HD95"),
    ("ASSD", "derived"): measure("ASSD"),
    ("ASSD", "panoptica"): measure("MASD_voxel"),
    ("ASSD", "distorch.boundary"): both_there(vertex_mean),
    ("ASSD", ""): measure("ASSD_voxel"),
    ("MASD", "derived"): measure("MASD"),
    ("MASD", ""): measure("MASD_voxel"),
    ("ASD_directed", ""): directed_means,
    ("boundary_IoU", "definition"): measure("boundary_IoU", "d"),
    ("boundary_F1", ""): boundary_f1,
    ("clDice", "definition"): lambda p, _: [*centreline_precision_sensitivity(p), MEASURES["clDice"].value(p)],
    ("clDice", ""): measure("clDice"),
    ("betti_numbers_truth", ""): lambda pair, _: list(betti_numbers(pair.truth)),
    ("betti_numbers_pred", ""): lambda pair, _: list(betti_numbers(pair.prediction)),
    ("betti_error", ""): lambda pair, _: list(betti_differences(pair)),
    ("lesion_detection", ""): lesion_counts,
    ("panoptic_quality", ""): panoptic,
}


def find_answer(metric: str, reference: str) -> Answer | None:
    return next((a for (name, start), a in ANSWERS.items() if name == metric and reference.startswith(start)), None)


if __name__ == "__main__":
    sys.exit(main())
