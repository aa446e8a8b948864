"""nnU-Net's `summary.json` of several models as rows of the long table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lossodyssey.table import Row

NAMES = {"Dice": "DSC", "IoU": "IoU"}
ENDING = re.compile(
    r"\.((nii|img|gipl|nrrd)\.gz|nii|nrrd|nhdr|mh[ad]|gipl|img|hdr|mg[hz]|png|tiff?|bmp|jpe?g|np[yz]|b2nd|dcm|h5)$",
    re.IGNORECASE,
)
"""Endings of images that nnU-Net and its users' readers know. An ending that is not here stays in the name."""


def read_summaries(summaries: Iterable[tuple[str, str | Path]], dataset: str = "nnU-Net") -> list[Row]:
    """Read (loss, path of its summary.json) pairs; several paths of one loss are its folds, in the order given.

    Raises:
        ValueError: a file is not nnU-Net v2's summary; the text names it.
    """
    rows: list[Row] = []
    folds: dict[str, int] = {}
    for loss, path in summaries:
        fold = folds[loss] = folds.get(loss, -1) + 1
        rows += _summary(loss, Path(path), dataset, fold)
    return rows


def _summary(loss: str, path: Path, dataset: str, fold: int) -> list[Row]:
    try:
        cases = json.loads(path.read_text(encoding="utf-8-sig"))["metric_per_case"]
        return [
            Row(loss, dataset, fold, 0, _case(case), str(label), NAMES[name], *_value(name, scores), size=_size(scores))
            for case in cases
            for label, scores in case["metrics"].items()
            for name in NAMES
            if name in scores
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not nnU-Net's summary.json ({error!r}); expected a list 'metric_per_case'") from None


def _case(case: Mapping[str, Any]) -> str:
    # The truth's name, which all models share; predictions may carry other endings.
    return case_name(str(case.get("reference_file") or case["prediction_file"]))


def case_name(path: str) -> str:
    """Return the name of a case's file without the image's ending, from a path of Linux, macOS or Windows.

    All other dots belong to the name: `sub-01.ses-1.nii.gz` is the case `sub-01.ses-1`.
    """
    # In a path from the root, a backslash is a letter of the name.
    file = re.split("/" if path.startswith("/") else r"[/\\]", path)[-1]
    return ENDING.sub("", file) or file


def _value(name: str, scores: Mapping[str, Any]) -> tuple[float, str]:
    """Return value and status; nnU-Net writes NaN where truth and prediction are both empty."""
    # Tools that write strict JSON turn nnU-Net's NaN into null.
    value = float(scores[name]) if scores[name] is not None else math.nan
    if math.isfinite(value):
        return value, "ok"
    return math.nan, "both_empty" if not scores.get("n_pred") and not scores.get("n_ref") else "missing"


def _size(scores: Mapping[str, Any]) -> float:
    return float(scores.get("n_ref", math.nan))
