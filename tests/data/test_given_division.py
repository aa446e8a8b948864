"""The division that comes with a data set is the one that is trained on and scored, and it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossodyssey.bench.light import Light
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.resolve import resolve
from lossodyssey.bench.study import Study
from lossodyssey.cli import comparison
from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.data.divisions import GIVEN, given_division, hold_out
from lossodyssey.training.settings import Settings


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    write_phantom(tmp_path / "phantom", cases=8)
    return read_dataset(tmp_path / "phantom")


def write(data: Dataset, *scored: list[int]) -> None:
    names = [case.name for case in data.cases]
    lists = [
        {"train": [n for i, n in enumerate(names) if i not in own], "val": [names[i] for i in own]} for own in scored
    ]
    (data.root / GIVEN).write_text(json.dumps(lists))


def study(data: Dataset, keys: str = "") -> Study:
    text = f"datasets: [{{name: {data.root}{keys}}}]\nlosses: [Dice()]\nsteps: 1\ndevice: cpu\n"
    return resolve(parse_plan(text, "plan.yaml"), Light(Settings()), data.root.parent / "out")


def test_one_division_is_followed(data: Dataset) -> None:
    write(data, [1, 6])
    (division,) = study(data).tasks[0].divisions
    assert division.scored == tuple(sorted(data.cases[i].name for i in (1, 6))) and len(division.training) == 6
    assert comparison._as_given(data, [division]) == ", as its splits_final.json says"


def test_a_plan_that_says_how_many_wins(data: Dataset) -> None:
    write(data, [1, 6])
    (division,) = study(data, ", held_out: 3").tasks[0].divisions
    assert division == hold_out(data, 3)
    assert comparison._as_given(data, [division]) == "; not as its splits_final.json says"


def test_several_folds_are_not_a_division(data: Dataset) -> None:
    write(data, [0, 1, 2, 3], [4, 5, 6, 7])
    assert given_division(data) is None
    (division,) = study(data).tasks[0].divisions
    assert division == hold_out(data, 0.2)
    assert "it has 2 folds: a plan with folds: 2 follows it" in comparison._as_given(data, [division])


def test_a_file_that_does_not_serve_is_named(data: Dataset) -> None:
    (data.root / GIVEN).write_text("[{}]")
    with pytest.raises(ValueError, match=r"splits_final\.json: not a file of folds"):
        study(data)
