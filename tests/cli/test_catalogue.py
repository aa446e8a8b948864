from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lossodyssey.cli import data
from lossodyssey.cli.width import WIDTH
from lossodyssey.data import places, write_phantom
from lossodyssey.data.catalogue import ENTRIES


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOSSODYSSEY_DATA", raising=False)
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "former"))
    monkeypatch.delenv("COLUMNS", raising=False)


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(data.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_list_fits_its_columns_and_groups_by_dimension(tmp_path: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=2)
    lines = printed("list", "--data", str(tmp_path)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    heads = [number for number, line in enumerate(lines) if line.strip() in ("3D", "2D")]
    assert [lines[number].strip() for number in heads] == ["3D", "2D"]
    text = "\n".join(lines)
    assert all(f" {entry.name} " in text for entry in ENTRIES)
    for entry in ENTRIES:
        place = next(number for number, line in enumerate(lines) if line.split()[:1] == [entry.name])
        assert (place > heads[1]) == (entry.dims == 2)


def test_the_list_as_json_has_all_facts(tmp_path: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=2)
    known = {one["name"]: one for one in json.loads(printed("list", "--data", str(tmp_path), "--json"))}
    assert list(known) == [entry.name for entry in ENTRIES]
    assert known["phantom"]["here"] == {"folder": str(tmp_path / "phantom"), "cases": 2, "problem": ""}
    assert known["KiTS19"]["here"] == {"folder": None, "cases": None, "problem": ""}
    assert known["KiTS19"]["flip_axes"] == [0, 1, 2] and known["KiTS19"]["licence"] == "CC BY-NC-SA 4.0"


@pytest.mark.parametrize(
    ("name", "found"),
    [("kits19", "KiTS19"), ("KiTS19", "KiTS19"), ("cvc-clinicdb", "CVC_ClinicDB"), ("Task04", "Task04_Hippocampus")],
)
def test_a_set_is_shown_by_any_of_its_names(name: str, found: str) -> None:
    text = printed("show", name)
    assert text.startswith(f"{found}: ")
    for heading in ("modality", "classes", "licence", "layout", "flip axes", "tolerance", "grouping", "traps", "here"):
        assert f"\n {heading} " in text


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("KiTS19", "then lossodyssey data prepare KiTS19 ARCHIVE"),
        ("KiTS19_labelled_slices", "KiTS19, KiTS19_labelled_slices"),
        ("Task04", "lossodyssey data fetch Task04_Hippocampus"),
        ("MS_lesions", "none: data prepare does not know it"),
        ("odyssey-segmentations", "then lossodyssey evaluate ARCHIVE"),
    ],
)
def test_show_says_how_a_set_is_got(name: str, way: str) -> None:
    assert way in " ".join(printed("show", name).split())


def test_show_says_what_was_not_checked() -> None:
    lines = printed("show", "LiTS").splitlines()
    assert "(not checked)" in next(line for line in lines if line.startswith(" licence"))
    assert "(not checked)" not in next(line for line in lines if line.startswith(" publication"))
    assert "not checked" in next(line for line in printed("show", "Task09").splitlines() if "imbalance" in line)


def test_show_as_json_says_where_the_set_is(tmp_path: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=3)
    shown: dict[str, Any] = json.loads(printed("show", "Phantom", "--data", str(tmp_path), "--json"))
    assert shown["here"]["cases"] == 3 and shown["way"] == "it is generated on first use"


def test_an_unknown_set_is_a_plain_error() -> None:
    result = CliRunner().invoke(data.app, ["show", "kits20"])
    assert isinstance(result.exception, ValueError) and "did you mean KiTS19" in str(result.exception)
