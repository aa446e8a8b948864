from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.data import Case, Dataset, read_dataset
from lossodyssey.data.divisions import GIVEN, folds, read_folds, read_test
from lossodyssey.data.grids import write_array
from lossodyssey.data.stratified import EMPTY, Presence, divide, read_presence, write_split

DATA = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[3] / "shared" / "data")


def dataset(count: int = 50, group_size: int = 0, root: Path | None = None) -> Dataset:
    cases = [
        Case(f"case_{i:02d}", (Path(f"{i}.png"),), None, f"patient {i // group_size}" if group_size else "")
        for i in range(count)
    ]
    return Dataset("mine", root or Path(), {0: "background", 1: "liver", 2: "tumour"}, ("CT",), tuple(cases))


def tumours(own: Dataset, rare: set[int]) -> Presence:
    return {
        case.name: frozenset({"liver", "tumour"} if number in rare else {"liver"})
        for number, case in enumerate(own.cases)
    }


@pytest.mark.parametrize("rare", [{0, 1, 2, 3, 4}, {3, 17, 18, 44, 49}], ids=["first", "scattered"])
def test_a_class_of_five_cases_is_in_each_of_five_folds(rare: set[int]) -> None:
    own = dataset()
    presence = tumours(own, rare)
    made = divide(own, 5, 0, presence)
    assert [sum("tumour" in presence[name] for name in part) for part in made.parts] == [1] * 5
    assert [len(part) for part in made.parts] == [10] * 5
    assert sorted(name for part in made.parts for name in part) == [case.name for case in own.cases]


@pytest.mark.parametrize("size", [2, 3, 7])
def test_groups_stay_whole_and_rare_classes_spread(size: int) -> None:
    own = dataset(group_size=size)
    presence = tumours(own, {0, 1, 2, 20, 30, 40, 48})
    made = divide(own, 4, 0, presence)
    groups = {case.name: case.group for case in own.cases}
    for train, part in zip(made.training, made.parts, strict=True):
        assert not {groups[name] for name in train} & {groups[name] for name in part}
    assert all(any("tumour" in presence[name] for name in part) for part in made.parts)
    sizes = [len(part) for part in made.parts]
    assert max(sizes) - min(sizes) <= 2 * size


def test_held_out_and_folds_together() -> None:
    own = dataset()
    presence = tumours(own, set(range(12)))
    made = divide(own, 5, 0.2, presence)
    assert len(made.test) == 10 and sum("tumour" in presence[name] for name in made.test) == 2
    assert sorted([*made.test, *(name for part in made.parts for name in part)]) == [c.name for c in own.cases]
    assert [sum("tumour" in presence[name] for name in part) for part in made.parts] == [2] * 5


def test_the_order_of_cases_does_not_matter() -> None:
    own = dataset(group_size=2)
    turned = Dataset(own.name, own.root, own.classes, own.channels, own.cases[::-1])
    presence = tumours(own, {1, 8, 30})
    assert divide(own, 5, 7, presence) == divide(turned, 5, 7, presence)


def test_without_stratification_the_folds_are_the_usual_ones() -> None:
    own = dataset(group_size=2)
    assert divide(own, 5, 0, None).parts == tuple(division.scored for division in folds(own, 5))


@pytest.mark.parametrize(("count", "held"), [(0, 0), (60, 0), (1, 0), (5, 50), (0, 1.5)])
def test_what_cannot_be_divided(count: int, held: float) -> None:
    with pytest.raises(ValueError, match=r"folds|held_out"):
        divide(dataset(), count, held, tumours(dataset(), {1}))


def test_the_file_is_read_by_folds_and_never_overwritten_by_chance(tmp_path: Path) -> None:
    own = dataset(root=tmp_path)
    made = divide(own, 3, 8, tumours(own, {1, 2, 3, 4, 5}))
    file = write_split(own, made)
    assert [division.scored for division in folds(own, 3)] == list(made.parts)
    assert read_test(file) == made.test and len(made.test) == 8
    assert all(set(entry) == {"train", "val", "test"} for entry in json.loads(file.read_text()))
    with pytest.raises(FileExistsError, match="--force"):
        write_split(own, made)
    write_split(own, divide(own, 0, 10, None), force=True)
    (division,) = read_folds(own, tmp_path / GIVEN)
    assert len(division.scored) == 10 and len(division.training) == 40 and read_test(file) == ()


def test_presence_is_read_from_the_label_maps(tmp_path: Path) -> None:
    cases = []
    for name, values in (("a", [0, 1]), ("b", [0, 0]), ("c", [1, 2])):
        write_array(tmp_path / f"{name}.png", np.array([values], np.uint8), np.eye(3))
        cases.append(Case(name, (), tmp_path / f"{name}.png"))
    own = Dataset("mine", tmp_path, {0: "background", 1: "liver", 2: "tumour"}, ("CT",), tuple(cases))
    seen: list[int] = []
    found = read_presence(own, lambda done, total: seen.append(done))
    assert found == {"a": {"liver"}, "b": {EMPTY}, "c": {"liver", "tumour"}} and seen == [1, 2, 3]


def real(name: str) -> Dataset:
    if not (DATA / name / "dataset.json").is_file():
        pytest.skip(f"{name} is not here")
    return read_dataset(DATA / name)


@pytest.mark.parametrize(("name", "shared"), [("BUSI_small", 92), ("CHASE_DB1", 14)])
def test_real_groups_are_never_parted(name: str, shared: int) -> None:
    own = real(name)
    members: dict[str, set[str]] = {}
    for case in own.cases:
        members.setdefault(case.group, set()).add(case.name)
    several = [names for names in members.values() if len(names) > 1]
    assert len(several) == shared
    presence = {
        case.name: frozenset({EMPTY if case.name.startswith("busi_normal") else "object"}) for case in own.cases
    }
    made = divide(own, 5, 0.2, presence)
    for part in (*made.parts, made.test):
        assert all(len(names & set(part)) in (0, len(names)) for names in several)
    for stratum in set().union(*presence.values()):
        counts = [sum(stratum in presence[name] for name in part) for part in made.parts]
        assert max(counts) - min(counts) <= 2
