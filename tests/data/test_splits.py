from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lossodyssey.data import Case, Dataset, split


def dataset(count: int = 20, group_size: int = 0) -> Dataset:
    cases = [
        Case(f"case_{i:02d}", (Path(f"{i}.png"),), None, f"patient {i // group_size}" if group_size else "")
        for i in range(count)
    ]
    return Dataset("mine", Path(), {0: "background", 1: "liver"}, ("CT",), tuple(cases))


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize(("held_out", "count"), [(1, 1), (5, 5), (19, 19), (0.25, 5), (0.5, 10)])
def test_every_case_is_on_one_side(held_out: float, count: int) -> None:
    kept, held = split(dataset(), held_out)
    assert len(held) == count
    assert sorted(names(kept) + names(held)) == names(list(dataset().cases))
    assert names(kept) == sorted(names(kept)) and names(held) == sorted(names(held))


def test_the_order_of_the_files_does_not_matter() -> None:
    turned = replace(dataset(), cases=dataset().cases[::-1])
    assert split(turned, 7, seed=3) == split(dataset(), 7, seed=3)


def test_the_seed_matters() -> None:
    assert len({tuple(names(split(dataset(), 5, seed)[1])) for seed in range(10)}) > 5


def test_the_choice_is_fixed_for_ever() -> None:
    assert names(split(dataset(), 4)[1]) == ["case_02", "case_03", "case_05", "case_14"]


def test_groups_stay_whole() -> None:
    for seed in range(20):
        kept, held = split(dataset(group_size=3), 6, seed)
        assert not {case.group for case in kept} & {case.group for case in held}
        assert 4 <= len(held) <= 6


@pytest.mark.parametrize("held_out", [0, 20, 40, -1, 0.0, 1.0, 1.5, 0.001, float("nan")])
def test_a_split_that_leaves_a_side_empty(held_out: float) -> None:
    with pytest.raises(ValueError, match=rf"held_out={held_out} .*mine.*choose a number from 1 to 19"):
        split(dataset(), held_out)


def test_groups_larger_than_the_held_out_part() -> None:
    with pytest.raises(ValueError, match="every group has more than 2 cases"):
        split(dataset(group_size=10), 2)
