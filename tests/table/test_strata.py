"""Strata of the cases by a column of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossodyssey.table import Table, read_rows, write_rows


def table(folder: Path, words: list[str], by: str = "contrast", separator: str = ",") -> Table:
    lines = [f"{loss},{i},DSC,0.5,{word}" for loss in "AB" for i, word in enumerate(words)]
    path = folder / "any.csv"
    path.write_text("\n".join(["loss,case,metric,value,Contrast", *lines]).replace(",", separator))
    return read_rows(path, by=by)


def strata(rows: Table) -> list[str]:
    return [row.stratum for row in rows if row.loss == "A"]


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_column_of_words_makes_strata(tmp_path: Path, separator: str) -> None:
    found = table(tmp_path, ["T1", "T2", "T2", "T1"], separator=separator)
    assert strata(found) == ["T1", "T2", "T2", "T1"]
    assert found.notes == ()


def test_few_numbers_are_names_and_many_are_cut_into_thirds_that_are_said(tmp_path: Path) -> None:
    assert strata(table(tmp_path, ["1", "2", "2", "1"])) == ["1", "2", "2", "1"]
    found = table(tmp_path, [str(1.5 * i) for i in range(1, 13)])
    assert strata(found) == ["contrast <= 7"] * 4 + ["7 < contrast <= 12.5"] * 4 + ["contrast > 12.5"] * 4
    assert "12 different numbers, cut into thirds: contrast <= 7 (4 cases)" in found.notes[0]


def test_one_number_in_two_spellings_is_one_stratum(tmp_path: Path) -> None:
    for loss, words in (("A", "1212"), ("B", ("1.0", "2.0", "1", "2.0"))):
        lines = [f"{loss},{i},DSC,0.5,{word}" for i, word in enumerate(words)]
        (tmp_path / f"{loss}.csv").write_text("\n".join(["loss,case,metric,value,centre", *lines]))
    rows = read_rows([tmp_path / "A.csv", tmp_path / "B.csv"], by="centre")
    assert [row.stratum for row in rows] == ["1", "2", "1", "2"] * 2


def test_cases_without_a_value_are_a_stratum_and_counted(tmp_path: Path) -> None:
    found = table(tmp_path, ["T1", "NA", "T2", "T1", "T2"])
    assert strata(found)[1] == "contrast unknown"
    assert found.notes == ("by contrast: 1 of 5 cases have no value and form the stratum 'contrast unknown'",)


def test_our_own_columns_make_strata_too(tmp_path: Path) -> None:
    path = tmp_path / "sizes.csv"
    lines = [f"{loss},{i},DSC,0.5,{10.0 * i},p{i % 2}" for loss in "AB" for i in range(12)]
    path.write_text("\n".join(["loss,case,metric,value,size,group", *lines]))
    assert {row.stratum for row in read_rows(path, by="size")} == {
        "size <= 36.67", "36.67 < size <= 73.33", "size > 73.33"
    }  # fmt: skip
    assert {row.stratum for row in read_rows(path, by="group")} == {"p0", "p1"}


def test_joined_tables_are_cut_at_the_same_limits(tmp_path: Path) -> None:
    for loss in "AB":
        lines = [f"{loss},{i},DSC,0.5,{i}" for i in range(12) if i < 9 or loss == "A"]
        (tmp_path / f"{loss}.csv").write_text("\n".join(["loss,case,metric,value,volume", *lines]))
    rows = read_rows([tmp_path / "A.csv", tmp_path / "B.csv"], by="volume")
    first = {row.case: row.stratum for row in rows if row.loss == "A"}
    assert all(first[row.case] == row.stratum for row in rows if row.loss == "B")


def test_strata_come_back_from_a_table_that_was_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "back.csv", table(tmp_path, ["T1", "T2", "T2", "T1"]))
    assert strata(read_rows(tmp_path / "back.csv")) == ["T1", "T2", "T2", "T1"]


@pytest.mark.parametrize(
    "words, by, message",
    [
        (["T1", "T2"], "centre", r"no column is called 'centre' \(by\); expected one of \['loss', 'case'"),
        (["T1", "T1"], "contrast", r"the column holds \['T1'\]; expected two values or more"),
        (["T1", "T2", "T3"], "contrast", "each of 3 values belongs to one case"),
        (["T1", "T2", "T1"], "loss", "case '0' has 'A' and 'B'; expected a column that says one thing of a case"),
    ],
)
def test_a_column_that_makes_no_strata_is_refused(tmp_path: Path, words: list[str], by: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(tmp_path, words, by)
