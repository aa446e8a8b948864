from __future__ import annotations

import math
from pathlib import Path

import pytest

from lossodyssey.table import COLUMNS, Row, read_rows, write_rows

HEADER = ",".join(COLUMNS) + "\n"
ROW = Row("Dice()", "A", 0, 1, 'case "1", left', "<script>", "DSC", 0.1 + 0.2)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [ROW, Row("CE", "A", 0, 1, "Fall ä", "liver", "HD95", math.nan, "pred_empty")]
    write_rows(tmp_path / "cases.csv", rows)
    back = read_rows(tmp_path / "cases.csv")
    assert back[0].cells() == ROW.cells()
    assert math.isnan(back[1].value) and back[1].status == "pred_empty" and back[1].case == "Fall ä"
    assert (tmp_path / "cases.csv").read_text(encoding="utf-8").splitlines()[0] + "\n" == HEADER


def test_optional_columns_appear_where_they_are_used(tmp_path: Path) -> None:
    write_rows(tmp_path / "cases.csv", [ROW, Row("CE", "A", 0, 0, "1", "x", "DSC", 0.5, group="p1", size=2.5)])
    assert (tmp_path / "cases.csv").read_text().splitlines()[0] == HEADER.strip() + ",group,size"
    assert (read_rows(tmp_path / "cases.csv")[1].group, read_rows(tmp_path / "cases.csv")[1].size) == ("p1", 2.5)


def test_foreign_columns_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("algorithm,image,dice\nA,1,0.5\nB,1,\n")
    rows = read_rows(path, {"loss": "algorithm", "case": "image", "value": "dice"})
    assert (rows[0].loss, rows[0].case, rows[0].value, rows[0].metric, rows[0].seed) == ("A", "1", 0.5, "DSC", 0)
    assert math.isnan(rows[1].value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the file is empty"),
        (HEADER, "no rows"),
        ("loss,value\nA,0.5\n", "are missing"),
        (HEADER + "A,A,0,0,1,x,DSC,good,ok\n", "line 2: column value holds 'good'"),
        (HEADER + "A,A,0,first,1,x,DSC,0.5,ok\n", "line 2: column seed holds 'first'"),
        (HEADER + ",A,0,0,1,x,DSC,0.5,ok\n", "line 2: column loss is empty"),
        (HEADER + "A,A,0,0,1,x,DSC,0.5\n", "line 2: the number of fields"),
        (HEADER + "A,A,0,0,1,x,DSC,0.5,ok,more\n", "line 2: the number of fields"),
    ],
)
def test_a_table_that_cannot_be_read_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        read_rows(path)
    assert str(path) in str(raised.value)


def test_other_kinds_of_file_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match=r"picture\.csv: not a CSV table"):
        read_rows(path)
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        read_rows(tmp_path / "none.csv")


def test_a_mapping_of_unknown_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'score'"):
        read_rows(tmp_path / "x.csv", {"score": "dice"})
