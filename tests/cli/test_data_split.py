from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lossodyssey.cli import data
from lossodyssey.data import write_phantom


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "250")
    write_phantom(tmp_path / "mine", cases=6)
    return tmp_path / "mine"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data.app, ["split", *map(str, arguments)])


def test_folds_are_written_and_shown(folder: Path) -> None:
    result = run(folder, "--folds", 3)
    assert result.exit_code == 0, result.exception
    content = json.loads((folder / "splits_final.json").read_text())
    assert [len(entry["val"]) for entry in content] == [2, 2, 2] and all(len(entry) == 2 for entry in content)
    assert "tumour" in result.stdout and "in a plan: folds: 3" in result.stdout
    assert "No case has a group" in result.stdout


def test_a_held_out_part_alone_is_a_list_of_one_division(folder: Path) -> None:
    result = run(folder, "--held-out", "0.34")
    (entry,) = json.loads((folder / "splits_final.json").read_text())
    assert (len(entry["train"]), len(entry["val"])) == (4, 2)
    assert f"folds: {folder / 'splits_final.json'}" in result.stdout


def test_both_keep_a_test_part_out_of_all_folds(folder: Path) -> None:
    result = run(folder, "--held-out", 2, "--folds", 2, "--no-stratify")
    content = json.loads((folder / "splits_final.json").read_text())
    assert all(not set(entry["test"]) & {*entry["train"], *entry["val"]} for entry in content)
    assert "2 test cases are in no fold" in result.stdout and "tumour" not in result.stdout
    assert CliRunner().invoke(data.app, ["check", str(folder)]).exit_code == 0


def test_a_file_is_replaced_only_by_force(folder: Path) -> None:
    (folder / "splits_final.json").write_text("[]")
    result = run(folder)
    assert isinstance(result.exception, FileExistsError) and "--force" in str(result.exception)
    assert (folder / "splits_final.json").read_text() == "[]"
    assert run(folder, "--force").exit_code == 0
    assert len(json.loads((folder / "splits_final.json").read_text())) == 5


def test_a_part_of_another_size_than_asked_for_is_told(folder: Path) -> None:
    settings = {f"phantom_{number:03d}": {"group": str(number // 2)} for number in range(6)}
    (folder / "cases.json").write_text(json.dumps(settings))
    result = run(folder, "--held-out", 3)
    assert "3 groups (patients" in result.stdout and "where 3 were asked for" in result.stdout


@pytest.mark.parametrize("text", ["-1", "2.5", "some"])
def test_a_held_out_part_that_makes_no_sense(folder: Path, text: str) -> None:
    result = run(folder, "--held-out", text)
    assert isinstance(result.exception, ValueError) and "held" in str(result.exception)
