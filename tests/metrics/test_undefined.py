from __future__ import annotations

import math

import numpy as np
import pytest

from lossodyssey.metrics import resolve

VALUES = [0.8, math.nan, math.nan, math.nan, math.nan]
STATUSES = ["ok", "pred_empty", "both_empty", "missing", "truth_empty"]


@pytest.mark.parametrize(
    ("policy", "higher", "expected"),
    [
        ("worst", True, [0.8, 0, math.nan, 0, 0]),
        ("last", True, [0.8, -math.inf, math.nan, -math.inf, -math.inf]),
        ("last", False, [0.8, math.inf, math.nan, math.inf, math.inf]),
        ("drop", True, VALUES),
    ],
)
def test_policies(policy, higher, expected):
    found = resolve(VALUES, STATUSES, policy, higher_is_better=higher, worst=0.0)
    assert found == pytest.approx(expected, nan_ok=True)


def test_the_values_given_are_left_alone():
    values = np.array([math.nan, 1.0])
    resolve(values, ["missing", "ok"], "worst", higher_is_better=True, worst=0)
    assert math.isnan(values[0])


def test_unknown_policy():
    with pytest.raises(ValueError, match="policy is 'zero'; expected one of worst, last, drop"):
        resolve([1.0], ["ok"], "zero", higher_is_better=True, worst=0)
