from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.ranking import rank
from lossodyssey.report.marks import marks
from lossodyssey.table import Row


def standing_marks(shifts: list[float], metric: str = "DSC", cases: int = 20) -> list[str]:
    rng = np.random.default_rng(1)
    rows = [
        Row(f"loss {i}", "task", 0, 0, str(case), "x", metric, 0.5 + shift + float(rng.normal(scale=0.01)))
        for i, shift in enumerate(shifts)
        for case in range(cases)
    ]
    return marks(rank(rows).standings[0])


@pytest.mark.parametrize("metric, expected", [("DSC", ["best", "", "worst"]), ("HD95", ["worst", "", "best"])])
def test_the_best_and_the_worst_are_marked_in_the_direction_of_the_metric(metric: str, expected: list[str]) -> None:
    assert standing_marks([0.2, 0.1, 0.0], metric) == expected


def test_where_no_pair_differs_nothing_is_marked() -> None:
    assert standing_marks([0.0, 0.0, 0.0]) == ["", "", ""]
    assert standing_marks([0.2, 0.1, 0.0], cases=4) == ["", "", ""]


@pytest.mark.parametrize("shifts, expected", [
    ([0.2, 0.2, 0.0], ["tied", "tied", "worst"]),
    ([0.2, 0.0, 0.0], ["best", "", ""]),
    ([0.2, 0.2, 0.0, 0.0], ["tied", "tied", "", ""]),
    ([0.0, 0.2], ["worst", "best"]),
])  # fmt: skip
def test_a_shared_lead_is_no_best_and_a_shared_end_no_worst(shifts: list[float], expected: list[str]) -> None:
    assert standing_marks(shifts) == expected
