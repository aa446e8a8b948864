from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lossodyssey.cli import data
from lossodyssey.data import places, write_phantom


@pytest.mark.parametrize("cached", [True, False])
def test_words_table_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache" if cached else None)
    write_phantom(tmp_path / "mine", cases=3)
    arguments = ["fingerprint", str(tmp_path / "mine"), "--json", str(tmp_path / "f.json")]
    result = CliRunner().invoke(data.app, arguments, catch_exceptions=False)
    assert "mine: 3 volumes, typically 48 x 48 x 32 voxels" in result.stdout and "tumour" in result.stdout
    content = json.loads((tmp_path / "f.json").read_text())
    assert content["dataset"] == "mine" and len(content["classes"]) == 4
    assert (tmp_path / "cache" / "fingerprints").is_dir() == cached
