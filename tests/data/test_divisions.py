"""Folds and validation cases: every case once, patients together, given files honoured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossodyssey.data import Case, Dataset
from lossodyssey.data.divisions import Division, folds, hold_out, read_folds


def dataset(root: Path = Path(), count: int = 20, group: int = 1) -> Dataset:
    cases = [
        Case(f"case_{i:02d}", (Path(f"{i}.png"),), None, f"patient {i // group}" if group > 1 else "")
        for i in range(count)
    ]
    return Dataset("mine", root, {0: "background", 1: "liver"}, ("CT",), tuple(cases))


def sides(data: Dataset, division: Division) -> list[set[str]]:
    """Return the patients of each part."""
    of = {case.name: case.group or case.name for case in data.cases}
    return [{of[name] for name in part} for part in (division.training, division.validation, division.scored)]


@pytest.mark.parametrize("group", [1, 3], ids=["single", "patients of three"])
@pytest.mark.parametrize("validation", [0, 4, 0.25])
def test_folds_score_every_case_once(group: int, validation: float) -> None:
    data = dataset(count=21, group=group)
    found = folds(data, 5, validation)
    assert [division.fold for division in found] == [0, 1, 2, 3, 4]
    assert sorted(name for division in found for name in division.scored) == [case.name for case in data.cases]
    for division in found:
        names = [*division.training, *division.validation, *division.scored]
        assert sorted(names) == [case.name for case in data.cases]
        assert bool(division.validation) == bool(validation)
        training, watched, scored = sides(data, division)
        assert not (training & watched or training & scored or watched & scored)
    sizes = [len(division.scored) for division in found]
    assert max(sizes) - min(sizes) <= group


def test_a_search_is_scored_on_validation_cases_alone() -> None:
    division = hold_out(dataset(), 5, 0.2)
    assert [len(part) for part in (division.training, division.validation, division.scored)] == [12, 3, 5]
    search = division.searching()
    assert (search.training, search.scored, search.validation) == (division.training, division.validation, ())


def test_validation_does_not_move_the_scored_cases() -> None:
    assert hold_out(dataset(), 5, 0.2).scored == hold_out(dataset(), 5).scored


@pytest.mark.parametrize("validation", [15, 0.01])
def test_a_part_without_cases_is_refused(validation: float) -> None:
    with pytest.raises(ValueError, match=f"validation={validation} of the 15 training cases of mine"):
        hold_out(dataset(), 5, validation)


@pytest.mark.parametrize("count", [1, 8])
def test_a_number_of_folds_that_patients_do_not_fill_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} folds of 7 patients or cases; expected a number from 2 to 7"):
        folds(dataset(group=3), count)


def write(folder: Path, content: object) -> Path:
    file = folder / "splits_final.json"
    file.write_text(json.dumps(content))
    return file


def test_a_file_of_folds_in_the_folder_decides(tmp_path: Path) -> None:
    names = [f"case_{i:02d}" for i in range(20)]
    content = [{"train": names[10:], "val": names[:10]}, {"train": names[:10], "val": names[10:]}]
    write(tmp_path, content)
    first, second = folds(dataset(tmp_path), 2)
    assert first.scored == tuple(names[:10]) and second.training == tuple(names[:10])
    assert [len(each.scored) for each in folds(dataset(tmp_path), 4)] == [5] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "not a file of folds"),
        ([{"train": ["case_00"]}], "not a file of folds .*'val'"),
        ([{"train": [], "val": ["case_00"]}], "'train' of fold 0 is"),
        ([{"train": ["case_00"], "val": ["case_99"]}], "fold 0 names case 'case_99', which mine does not have"),
        ([{"train": ["case_00"], "val": ["case_00"]}], "fold 0 trains on and scores case case_00"),
        ([{"train": ["case_00"], "val": ["case_01"]}], "fold 0 trains on and scores patient 0"),
    ],
    ids=["mapping", "no val", "empty", "unknown", "both sides", "one patient"],
)
def test_a_file_that_does_not_serve_is_refused(content: object, message: str, tmp_path: Path) -> None:
    group = 2 if "patient" in message else 1
    with pytest.raises(ValueError, match=message):
        read_folds(dataset(group=group), write(tmp_path, content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file; expected a list of"):
        read_folds(dataset(), tmp_path / "none.json")
