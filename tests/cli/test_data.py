from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lossodyssey.cli import data
from lossodyssey.data import places, write_phantom
from lossodyssey.data.catalogue import ENTRIES


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOSSODYSSEY_DATA", raising=False)
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "former"))
    monkeypatch.setenv("COLUMNS", "250")


def listing(*arguments: str) -> dict[str, str]:
    result = CliRunner().invoke(data.app, ["list", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}


def test_list_says_what_is_known_and_how_to_get_it() -> None:
    lines = listing()
    assert set(lines) >= {entry.name for entry in ENTRIES}
    assert "made on first use" in lines["phantom"]
    assert "public mirror" in lines["Task04_Hippocampus"] and "Anterior" in lines["Task04_Hippocampus"]
    assert "by hand" in lines["DSB2018_nuclei"]


def test_list_says_what_is_here(tmp_path: Path) -> None:
    write_phantom(tmp_path / "here" / "phantom", cases=3)
    line = listing("--data", str(tmp_path / "here"))["phantom"]
    assert " 3 " in line and str(tmp_path / "here" / "phantom") in line


def test_list_survives_a_broken_set(tmp_path: Path) -> None:
    broken = tmp_path / "MS_lesions"
    broken.mkdir()
    (broken / "dataset.json").write_text("{")
    line = listing("--data", str(tmp_path))["MS_lesions"]
    assert "broken" in line and "not valid JSON" in line


def test_fetch_gives_the_folder_of_a_set_that_is_here(tmp_path: Path) -> None:
    write_phantom(tmp_path / "Task09_Spleen", cases=1)
    result = CliRunner().invoke(data.app, ["fetch", "Task09_Spleen", "--data", str(tmp_path)], catch_exceptions=False)
    assert result.stdout.strip() == str(tmp_path / "Task09_Spleen")


def test_fetch_of_an_unknown_set_is_a_plain_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(data.app, ["fetch", "Task4_Hipocampus", "--data", str(tmp_path)])
    assert isinstance(result.exception, ValueError)
    assert "did you mean Task04_Hippocampus" in str(result.exception)


@pytest.mark.parametrize("verb", ["list", "fetch"])
def test_help_has_an_example(verb: str) -> None:
    assert "Example" in CliRunner().invoke(data.app, [verb, "--help"]).stdout
