"""Measures without a value, and the stand-ins that a ranking may take.

A measure that divides by nothing, or looks for the distance to a surface that is not there, gives NaN and a status
saying which mask was empty. It never gives a number that looks like a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Status = Literal["ok", "pred_empty", "truth_empty", "both_empty", "missing", "failed", "not_annotated"]
STATUSES: tuple[Status, ...] = get_args(Status)
Policy = Literal["worst", "last", "drop"]


def status_of(value: float, prediction_size: int, truth_size: int) -> Status:
    """Name the reason why `value` is NaN: an empty mask, else "failed"; "ok" for a number."""
    if not math.isnan(value):
        return "ok"
    # Both masks hold something and still no number: the measure itself failed.
    if prediction_size and truth_size:
        return "failed"
    if prediction_size == truth_size:
        return "both_empty"
    return "truth_empty" if prediction_size else "pred_empty"


def resolve(
    values: npt.ArrayLike, statuses: Sequence[str], policy: Policy, *, higher_is_better: bool, worst: float
) -> npt.NDArray[np.float64]:
    """Replace undefined values by a stated policy.

    - "worst": the value `worst` (0 for DSC and NSD, the image's diagonal in mm for distances);
    - "last": an infinity on the bad side, so that the case ranks behind every number;
    - "drop": NaN stays, for the caller to leave out.

    A case where both masks are empty says nothing against the prediction: it stays NaN under every policy.

    Raises:
        ValueError: the policy is unknown.
    """
    if policy not in get_args(Policy):
        raise ValueError(f"policy is {policy!r}; expected one of {', '.join(get_args(Policy))}")
    resolved = np.array(values, np.float64)
    lost = np.array([status not in ("ok", "both_empty") for status in statuses])
    if policy != "drop":
        behind = -math.inf if higher_is_better else math.inf
        resolved[lost] = worst if policy == "worst" else behind
    return resolved
