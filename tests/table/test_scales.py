"""Shares in percent are asked about, and values that a metric cannot take are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.table import Table, read_rows


def table(folder: Path, first: Sequence[float], second: Sequence[float], metric: str = "DSC", **options: Any) -> Table:
    lines = [f"{loss},{i},{metric},{v}\n" for loss, own in (("A", first), ("B", second)) for i, v in enumerate(own)]
    path = folder / "any.csv"
    path.write_text("loss,case,metric,value\n" + "".join(lines))
    return read_rows(path, **options)


@pytest.mark.parametrize("metric", ["DSC", "nsd@2", "Surface Dice"])
def test_percent_is_asked_about_and_divided_where_it_is_said(tmp_path: Path, metric: str) -> None:
    with pytest.raises(ValueError, match=f"values up to 90 .*If all are in percent, say --percent '?{metric}"):
        table(tmp_path, [85, 80], [90, 70], metric)
    found = table(tmp_path, [85, 80], [90, 70], metric, percent=[metric])
    assert [row.value for row in found] == [0.85, 0.8, 0.9, 0.7]
    assert any("values in percent are divided by 100" in note for note in found.notes)


@pytest.mark.parametrize("metric", ["DSC (%)", "DSC [%]", "dice_percent"])
def test_a_name_may_say_percent(tmp_path: Path, metric: str) -> None:
    found = table(tmp_path, [85, 80], [90, 70], metric)
    assert {(row.metric, row.value) for row in found} == {("DSC", 0.85), ("DSC", 0.8), ("DSC", 0.9), ("DSC", 0.7)}


@pytest.mark.parametrize("percent", [(), ("DSC",)])
@pytest.mark.parametrize(
    "first, second",
    [([85, 80], [0.9, 0.7]), ([85, 0.8, 70], [90, 0.7, 60]), ([85] * 60 + [0.8], [80] * 60 + [0.7])],
)
def test_two_scales_in_one_table_are_refused(
    tmp_path: Path, first: list[float], second: list[float], percent: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="mixes two scales"):
        table(tmp_path, first, second, percent=percent)


def test_one_value_of_another_scale_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"any\.csv: .*of the rarer kind 85, loss 'A', case '2'"):
        table(tmp_path, [0.8, 0.7, 85, 0.9], [0.8, 0.7, 0.6, 0.9])


def test_a_rare_small_value_in_percent_is_counted_aloud(tmp_path: Path) -> None:
    found = table(tmp_path, [85, 0.5, 0, *[80] * 20], [90, 70, 0, *[80] * 20], percent=["dsc"])
    assert found[1].value == 0.005
    assert "1 of 46 values are 1 % or less" in found.notes[0]


@pytest.mark.parametrize(
    "values, metric, options, message",
    [
        ([0.85, 0.5], "DSC", {"percent": ["DSC"]}, "no value is above 1 .*these are shares"),
        ([0.85, 0.5], "DSC (%)", {}, "no value is above 1"),
        ([12, 30], "HD95", {"percent": ["HD95"]}, "is not a share"),
        ([12, 30], "mine", {"percent": ["mine"]}, "is not a share"),
        ([85, 50], "DSC", {"percent": ["NSD"]}, r"\['NSD'\] are not in the table; it has \['DSC'\]"),
        ([850, 0.5], "DSC", {}, "has the value 850 .*expected 0 to 1"),
        ([850, 50], "DSC", {"percent": ["DSC"]}, "has the value 850 .*expected 0 to 100 %"),
        ([-1, 0.5], "DSC", {}, "has the value -1 .*Leave the cell empty"),
        ([-1, 12], "HD95", {}, "has the value -1 .*expected 0 to inf"),
    ],
)
def test_values_and_scales_that_disagree_are_refused(
    tmp_path: Path, values: list[float], metric: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        table(tmp_path, values, [0.5 * value for value in values], metric, **options)


@pytest.mark.parametrize("metric, value", [("DSC", 1.02), ("NSD", -0.01), ("HD95", -0.3)])
def test_values_slightly_outside_are_left_and_said(tmp_path: Path, metric: str, value: float) -> None:
    found = table(tmp_path, [value, 0.9], [0.5, 0.6], metric)
    assert found[0].value == value
    assert f"{metric}: 1 values lie outside" in found.notes[0]


@pytest.mark.parametrize("metric, value", [("DSC", 1.0000001), ("volume_error", -1200), ("kappa", -0.2), ("mine", -5)])
def test_values_that_can_be_are_left_alone(tmp_path: Path, metric: str, value: float) -> None:
    assert table(tmp_path, [value], [0.5], metric)[0].value == value
