"""Tables as people have them: separators, encodings, decimal marks, words for nothing, packed files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.table import Table, read_rows

PLAIN = "loss,case,metric,value\nDice,1,HD95,12.5\nCÉ,2,HD95,\n"


def read(folder: Path, content: str | bytes, **options: Any) -> Table:
    path = folder / "any.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, **options)


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\r").replace(",", ";"),
        PLAIN.replace("loss,case", "Loss,CASE"),
        '"' + PLAIN.strip().replace(",", '","').replace("\n", '"\n"') + '"',
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN + "\n,,,\n   \n\n",
        "\n" + PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        PLAIN.encode("latin-1"),
        gzip.compress(PLAIN.encode(), mtime=0),
        bz2.compress(PLAIN.encode()),
        lzma.compress(PLAIN.encode()),
        zipped(**{"inside.csv": PLAIN.encode(), "__MACOSX/inside.csv": b"x"}),
    ],
)
def test_dialects_read_alike(tmp_path: Path, content: str | bytes) -> None:
    first, second = read(tmp_path, content)
    assert (first.loss, first.case, first.metric, first.value, first.status) == ("Dice", "1", "HD95", 12.5, "ok")
    assert (second.loss, math.isnan(second.value), second.status) == ("CÉ", True, "missing")


def test_a_guessed_encoding_is_said(tmp_path: Path) -> None:
    assert "not in UTF-8; read as Windows-1252" in read(tmp_path, PLAIN.encode("latin-1")).notes[0]
    assert read(tmp_path, PLAIN).notes == ()


@pytest.mark.parametrize("word", ["NA", "N/A", "na", "null", "None", "NaN", "-", "–", "—", "--", ".", "#N/A", " ", "?"])
def test_words_for_nothing_are_missing_values(tmp_path: Path, word: str) -> None:
    row = read(tmp_path, f"loss;case;metric;value\nA;1;DSC;{word}\nB;1;DSC;0,5\n")[0]
    assert (math.isnan(row.value), row.status) == (True, "missing")


@pytest.mark.parametrize(
    "cells, values",
    [
        (("0,853", "1,000"), (0.853, 1.0)),
        (("1,234.5", "2"), (1234.5, 2.0)),
        (("1.234,5", "2"), (1234.5, 2.0)),
        (("1 234,5", "1'234"), (1234.5, 1234.0)),
        (("1.234.567", "1,5"), (1234567.0, 1.5)),
        (("−12.5", "+3e2"), (-12.5, 300.0)),
        (("85%", "0.5"), (0.85, 0.5)),
        (("1.234", "0.5"), (1.234, 0.5)),
        (("inf", "-Infinity"), (math.inf, -math.inf)),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_meant(
    tmp_path: Path, cells: tuple[str, str], values: tuple[float, float]
) -> None:
    rows = read(
        tmp_path, "loss|case|metric|value\n" + "".join(f"A|{i}|volume_error|{c}\n" for i, c in enumerate(cells))
    )
    assert tuple(row.value for row in rows) == values


def test_capitals_of_a_status_mean_nothing(tmp_path: Path) -> None:
    for separator in ",;":
        text = "loss,case,metric,value,status\nA,1,DSC,1,OK\nB,1,DSC,,Failed\nC,1,DSC,,ok\n"
        rows = read(tmp_path, text.replace(",", separator))
        assert [row.status for row in rows] == ["ok", "failed", "missing"]


def test_thousands_and_percent_signs_are_said(tmp_path: Path) -> None:
    head = "loss;case;metric;value\n"
    assert "column value: '1.234,5' is read as 1234.5" in read(tmp_path, head + "A;1;volume_error;1.234,5\n").notes[0]
    assert "1 cells with a percent sign are divided by 100" in read(tmp_path, head + "A;1;DSC;85 %\n").notes[0]


def test_a_comma_between_semicolons_is_a_decimal_one(tmp_path: Path) -> None:
    assert read(tmp_path, "loss;case;metric;value\nA;1;HD95;1,234\nB;1;HD95;12,345\n")[1].value == 12.345


def test_folds_and_seeds_may_be_written_as_decimals(tmp_path: Path) -> None:
    row = read(tmp_path, "loss,case,fold,seed,metric,value\nA,1,1.0,2.0,DSC,0.5\n")[0]
    assert (row.fold, row.seed) == (1, 2)
    row = read(tmp_path, "loss;case;fold;seed;metric;value\nA;1;1,0;;DSC;0,5\n")[0]
    assert (row.fold, row.seed) == (1, 0)


@pytest.mark.parametrize(
    "lines, message",
    [
        ("A;1;DSC;0,85\n\nB;1;DSC;good", "line 4: column value holds 'good'; expected a number or empty"),
        ("A;1;DSC;0,85\nB;1;DSC;0.85", "line 2: column value holds '0,85'; expected one decimal mark .* '0.85'"),
        ("A;1;DSC;1.2.3", "line 2: column value holds '1.2.3'"),
        ("A;1;DSC;1_0", "line 2: column value holds '1_0'"),
        ("A;1;DSC;0,5\nB;1;DSC", "line 3: the number of fields differs from the header's: 3, expected 4"),
        ("A;1;DSC;0,5;6", "line 2: the number of fields differs from the header's: 5, expected 4"),
        ("A;1;DSC;0,5;6;7", "line 2: the number of fields differs from the header's: 6, expected 4"),
        ('"A\nB";1;DSC;0,5\nB;1;DSC;?x', "line 4: column value holds"),
        ("loss;case;metric;value\n", r"line 2: column value holds 'value'.*\(the header a second time\?\)"),
        (";1;DSC;0,5", "line 2: column loss is empty; every row names its loss"),
        ("A;n/a;DSC;0,5", "line 2: column case holds 'n/a'; every row names its case"),
        ("A;1;;0,5", "line 2: column metric is empty"),
        ('A;1;"DSC;0,5\nB;1;DSC;0,6', "line 3: the number of fields"),
        ("A;1;" + "x" * 200_000 + ";good", "line 2: not CSV"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        read(tmp_path, "loss;case;metric;value\n" + lines)
    assert str(tmp_path / "any.csv") in str(raised.value)


def test_a_comma_that_may_part_thousands_is_asked_about(tmp_path: Path) -> None:
    for lines in ('A,1,HD95,"1,234"\nB,1,HD95,12', 'A,1,HD95,"1,234"\nB,1,HD95,1.234'):
        with pytest.raises(ValueError, match="line 2: column value holds '1,234'; expected a number that reads in one"):
            read(tmp_path, "loss,case,metric,value\n" + lines)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"loss;case;value\n", "a header but no rows"),
        (b"loss,case,value\n\n,,\n", "a header but no rows"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "not a CSV table .*a binary file"),
        (bytes(range(256)), "not a CSV table"),
        (b"just a line\nand another\n", "not a CSV table: its first line 'just a line' has one column"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save the sheet as CSV"),
        (zipped(**{"xl/workbook.xml": b"x"}), "a workbook, not a CSV table; save the sheet as CSV"),
        (zipped(a=b"x", b=b"y"), "an archive of 2 files"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "not a CSV table"),
        (b"PK\x03\x04rubbish", "not a CSV table"),
    ],
)
def test_files_that_hold_no_table_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"any.csv: .*{message}"):
        read(tmp_path, content)


def test_a_folder_is_refused_with_the_tables_in_it(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(PLAIN)
    with pytest.raises(ValueError, match=r"a folder; expected a table.*it holds cases\.csv"):
        read_rows(tmp_path)


def test_without_pandas_plain_tables_are_read_and_others_say_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    assert len(read(tmp_path, PLAIN)) == len(read(tmp_path, gzip.compress(PLAIN.encode(), mtime=0))) == 2
    with pytest.raises(ValueError, match=r"line 2: .*'0,5'.*pip install .\.\[bench\]."):
        read(tmp_path, 'loss,case,metric,value\nA,1,DSC,"0,5"\n')
    with pytest.raises(ValueError, match=r'line 1: .*pip install "\.\[bench\]"'):
        read(tmp_path, PLAIN.replace(",", ";"))


def test_equal_texts_are_one_object(tmp_path: Path) -> None:
    for separator in ",;":
        lines = "".join(f"a long name,case {i % 2},DSC,0.5\n" for i in range(6))
        rows = read(tmp_path, f"loss,case,metric,value\n{lines}".replace(",", separator))
        assert len({id(row.loss) for row in rows}) == 1
        assert len({id(row.case) for row in rows}) == 2
