"""A table that was cut at the end of a line is found by the records beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lossodyssey.table import Row, read_rows, write_rows

CASES = 8


def rows(loss: str, dataset: str = "one", seed: int = 0, cases: int = CASES, value: float = 0.5) -> list[Row]:
    return [
        Row(loss, dataset, 0, seed, f"c{case}", name, "DSC", value)
        for case in range(cases)
        for name in ("liver", "tumour")
    ]


def record(folder: Path, loss: str, dataset: str = "one", seed: int = 0, **other: object) -> None:
    facts = {"expression": loss, "name": "", "dataset": dataset, "seed": seed, "cases": CASES, "status": "finished"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts | other))


def study(folder: Path, datasets: Sequence[str] = ("one", "two")) -> Path:
    """Write a comparison of two losses on two data sets with two seeds; return its table."""
    runs = [(loss, dataset, seed) for loss in ("A()", "B()") for dataset in datasets for seed in (0, 1)]
    for number, run in enumerate(runs):
        record(folder / "runs" / str(number), *run)
    write_rows(folder / "cases.csv", [row for run in runs for row in rows(*run)])
    return folder / "cases.csv"


def cut(path: Path, lines: int) -> None:
    """Keep the header and this number of rows."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[: lines + 1]))


def test_a_whole_table_is_read_without_a_word(tmp_path: Path) -> None:
    table = read_rows(study(tmp_path))
    assert len(table) == 2 * 2 * 2 * CASES * 2
    assert table.notes == ()


@pytest.mark.parametrize("lines, seen", [
    (10, "5 of 8 cases of A() on one, seed 0"), (9, "5 of 8 cases of A() on one, seed 0"),
    (15, "part of case 'c7' of A() on one, seed 0"), (40, "4 of 8 cases of A() on two, seed 0"),
    (3 * 16 + 2, "1 of 8 cases of A() on two, seed 1"), (127, "part of case 'c7' of B() on two, seed 1"),
])  # fmt: skip
def test_a_comparison_cut_at_the_end_of_a_line_is_refused(tmp_path: Path, lines: int, seen: str) -> None:
    path = study(tmp_path)
    cut(path, lines)
    with pytest.raises(ValueError) as error:
        read_rows(path)
    assert f"cases.csv: holds {seen}" in str(error.value)


def test_a_comparison_cut_between_two_runs_names_the_others(tmp_path: Path) -> None:
    path = study(tmp_path)
    cut(path, 6 * 16)
    (note,) = read_rows(path).notes
    assert "no rows of 2 runs that lie beside it (B() on two, seed 0; B() on two, seed 1)" in note


@pytest.mark.parametrize("label", ["", "mine"])
def test_the_own_table_of_a_run_is_held_against_its_record(tmp_path: Path, label: str) -> None:
    record(tmp_path, "Dice()", name=label)
    write_rows(tmp_path / "cases.csv", rows(label or "Dice()"))
    assert read_rows(tmp_path / "cases.csv").notes == ()
    cut(tmp_path / "cases.csv", 12)
    with pytest.raises(ValueError, match="holds 6 of 8 cases"):
        read_rows(tmp_path / "cases.csv")


def test_a_record_without_the_count_still_keeps_a_fingerprint(tmp_path: Path) -> None:
    record(tmp_path, "Dice()", cases=None, files={"cases.csv": "0123456789abcdef"})
    write_rows(tmp_path / "cases.csv", rows("Dice()", cases=6))
    assert "is not as the run left it" in read_rows(tmp_path / "cases.csv").notes[0]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"seed": [], "status": "finished", "files": 3}', '{"classes": [1]}'])
def test_a_record_that_says_nothing_does_not_matter(tmp_path: Path, text: str) -> None:
    for name in ("run.json", "cases.summary.json"):
        (tmp_path / name).write_text(text)
    write_rows(tmp_path / "cases.csv", rows("Dice()"))
    assert len(read_rows(tmp_path / "cases.csv")) == 2 * CASES


def test_a_run_that_is_still_at_work_does_not_matter(tmp_path: Path) -> None:
    path = study(tmp_path)
    record(tmp_path / "runs" / "8", "C()", status="running")
    assert read_rows(path).notes == ()


def test_of_runs_of_one_loss_with_other_settings_the_smaller_counts(tmp_path: Path) -> None:
    path = study(tmp_path)
    record(tmp_path / "runs" / "more", "A()", cases=2 * CASES)
    assert read_rows(path).notes == ()


def test_searches_and_first_stages_have_no_rows_to_miss(tmp_path: Path) -> None:
    path = study(tmp_path)
    record(tmp_path / "runs" / "search", "A()", cases=1, purpose="search")
    record(tmp_path / "runs" / "stage", "C()", purpose="start")
    assert read_rows(path).notes == ()
    cut(path, 4)
    with pytest.raises(ValueError, match=f"2 of {CASES} cases of A"):
        read_rows(path)


def test_a_part_of_a_table_under_another_name_is_read(tmp_path: Path) -> None:
    path = study(tmp_path)
    part = path.rename(tmp_path / "part.csv")
    cut(part, 20)
    assert len(read_rows(part)) == 20


@pytest.mark.parametrize("lines, refused", [(16, False), (15, True), (8, True)])
def test_the_table_of_an_evaluation_is_held_against_its_summary(tmp_path: Path, lines: int, refused: bool) -> None:
    counts = [{"class_name": name, "metric": "DSC", "statuses": {"ok": 7, "failed": 1}} for name in ("liver", "tumour")]
    (tmp_path / "mine.summary.json").write_text(json.dumps({"classes": counts}))
    write_rows(tmp_path / "mine.csv", rows("net"))
    cut(tmp_path / "mine.csv", lines)
    if not refused:
        assert len(read_rows(tmp_path / "mine.csv")) == 16
        return
    with pytest.raises(ValueError, match=f"holds {lines} rows, and mine.summary.json beside it counts 16"):
        read_rows(tmp_path / "mine.csv")
