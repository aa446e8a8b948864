from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lossodyssey.cli import data
from lossodyssey.data import write_phantom
from lossodyssey.data.grids import read_grid, write_array


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "250")
    write_phantom(tmp_path / "mine", cases=4)
    return tmp_path / "mine"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data.app, ["check", *map(str, arguments)])


def copied(folder: Path) -> None:
    for kind in ("images", "labels"):
        source = folder / f"{kind}Tr" / "phantom_002.nii.gz"
        source.write_bytes((folder / f"{kind}Tr" / "phantom_001.nii.gz").read_bytes())


def test_a_clean_set(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0 and "mine, 4 cases: 0 errors, 0 warnings, 0 notes" in result.stdout


def test_errors_are_shown_written_and_give_exit_code_1(folder: Path, tmp_path: Path) -> None:
    path = folder / "labelsTr" / "phantom_000.nii.gz"
    grid = read_grid(path)
    write_array(path, np.where(grid.values == 1, 9, grid.values).astype(np.uint8), grid.affine)
    result = run(folder, "--json", tmp_path / "findings.json")
    assert result.exit_code == 1 and "labels that are not classes: 9" in result.stdout
    content = json.loads((tmp_path / "findings.json").read_text())
    assert content["cases"] == 4 and content["findings"][0]["cases"] == ["phantom_000"]
    assert content["findings"][0]["severity"] == "error"


def test_groups_are_written_where_asked(folder: Path) -> None:
    copied(folder)
    (folder / "cases.json").write_text('{"phantom_001": {"age": 40}}')
    before = run(folder)
    assert "1 group of 2 images" in before.stdout and "gives 2 cases a group" in before.stdout
    assert json.loads((folder / "cases.json").read_text()) == {"phantom_001": {"age": 40}}
    result = run(folder, "--write-groups")
    assert result.exit_code == 0 and "2 cases have a new group" in result.stdout
    facts = json.loads((folder / "cases.json").read_text())
    assert facts["phantom_001"] == {"age": 40, "group": "like phantom_001"} and len(facts) == 2
    assert "nothing was written" in run(folder, "--write-groups").stdout


def test_no_groups_without_duplicates(folder: Path) -> None:
    assert "no groups to write" in run(folder, "--write-groups").stdout
    assert not (folder / "cases.json").exists()


def test_a_folder_without_dataset_json_is_a_plain_error(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert isinstance(result.exception, FileNotFoundError) and "dataset.json" in str(result.exception)


def test_a_long_list_is_cut_and_says_so(folder: Path) -> None:
    settings = json.loads((folder / "dataset.json").read_text())
    settings["training"] += [{"image": f"imagesTr/n{n}.nii.gz", "label": f"labelsTr/n{n}.nii.gz"} for n in range(20)]
    (folder / "dataset.json").write_text(json.dumps(settings))
    result = run(folder)
    assert result.exit_code == 1 and "8 more: error, partners" in result.stdout


def test_help_has_examples() -> None:
    assert "--write-groups" in CliRunner().invoke(data.app, ["check", "--help"]).stdout
