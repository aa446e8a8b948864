"""nnU-Net's `summary.json` of several models as rows of the long table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from lossodyssey.table import Row

NAMES = {"Dice": "DSC", "IoU": "IoU"}


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
        cases = json.loads(path.read_text(encoding="utf-8"))["metric_per_case"]
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
    return PurePath(str(case.get("reference_file") or case["prediction_file"])).name.partition(".")[0]


def _value(name: str, scores: Mapping[str, Any]) -> tuple[float, str]:
    """Return value and status; nnU-Net writes NaN where truth and prediction are both empty."""
    # Tools that write strict JSON turn nnU-Net's NaN into null.
    value = float(scores[name]) if scores[name] is not None else math.nan
    if math.isfinite(value):
        return value, "ok"
    return math.nan, "both_empty" if not scores.get("n_pred") and not scores.get("n_ref") else "missing"


def _size(scores: Mapping[str, Any]) -> float:
    return float(scores.get("n_ref", math.nan))
