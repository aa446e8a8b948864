"""The section about the data: there with a fingerprint, absent without, and never of another comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.report import write
from lossodyssey.report.data import read_sheets
from lossodyssey.report.evidence import read_evidence
from lossodyssey.table import Row

SPAN = {"median": 4.5, "low": 1.0, "high": 9.25}


def content(name: str, **changes: Any) -> dict[str, Any]:
    keys = ("volume", "components", "radius", "compactness", "rim2", "contrast")
    known: dict[str, Any] = {"name": "organ <i>", "cases": 12, "imbalance": 99.0} | dict.fromkeys(keys, SPAN)
    absent: dict[str, Any] = {"name": "lesion", "cases": 0, "imbalance": None} | dict.fromkeys(keys)
    words = f"Words about {name}."
    return {"dataset": name, "in_words": words, "unit": "mm", "dims": 3, "classes": [known, absent]} | changes


def put(folder: Path, name: str, **changes: Any) -> None:
    (folder / f"fingerprint-{len(list(folder.iterdir()))}.json").write_text(json.dumps(content(name, **changes)))


def page(folder: Path, rows: list[Row]) -> str:
    write(rows, folder / "report.html", evidence=read_evidence(folder), draws=20)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_fingerprint_is_quoted(tmp_path: Path, rows: list[Row]) -> None:
    put(tmp_path, "data <b>&")
    put(tmp_path, "another set")
    text = page(tmp_path, rows)
    section = text[text.index('<section id="data">') :]
    section = section[: section.index("</section>")]
    assert "Words about data &lt;b&gt;&amp;." in section and "another set" not in section
    assert "organ &lt;i&gt;" in section and "1 to 9.25" in section and "Volume (mm³)" in section
    assert ">100<" in section


def test_without_a_file_there_is_no_section(tmp_path: Path, rows: list[Row]) -> None:
    assert 'id="data"' not in page(tmp_path, rows) and 'href="#data"' not in page(tmp_path, rows)


@pytest.mark.parametrize("changes", [{"classes": [{}]}, {"classes": 3}, {"dims": "x"}, {"classes": [{"name": "a"}]}])
def test_a_damaged_file_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    put(tmp_path, "a", **changes)
    with pytest.raises(ValueError, match=r"fingerprint-0\.json: not a fingerprint"):
        read_sheets(tmp_path)


def test_pictures_are_measured_in_pixels(tmp_path: Path) -> None:
    put(tmp_path, "a", unit="pixel", dims=2)
    (sheet,) = read_sheets(tmp_path)
    assert [column.title for column in sheet.grid.columns][3] == "Volume (pixel²)"
