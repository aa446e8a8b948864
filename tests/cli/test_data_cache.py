"""The folder of prepared cases, shown and cleared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lossodyssey.cli import data, data_cache
from lossodyssey.data.store import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(data_cache, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def asked(*words: str) -> Result:
    return CliRunner().invoke(data.app, ["cache", *words], catch_exceptions=False)


def test_an_empty_cache_is_shown_and_cleared(folder: Path) -> None:
    for words in ([], ["--clear"]):
        result = asked(*words)
        assert result.exit_code == 0 and "0 entries, 0.0 MB" in result.stdout and "removed" not in result.stdout


def test_entries_are_counted_and_removed_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    (folder / "phantom").mkdir(parents=True)
    file = tmp_path / "image.bin"
    file.write_bytes(b"image")
    store = Store(folder / "prepared", lambda: {str(file.resolve()): "0123"})
    for number in range(3):
        store.find(store.key([file], number), lambda: {"image": np.zeros(250_000, np.float32)})
    assert "3 entries, 3.0 MB" in asked().stdout
    assert "removed" in asked("--clear").stdout
    assert not (folder / "prepared").exists() and (folder / "phantom").is_dir()
    assert "0 entries" in asked().stdout


def test_without_a_cache_folder_it_says_where_the_cases_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_cache, "cache_folder", lambda: None)
    with pytest.raises(ValueError, match="this user has no cache folder"):
        asked()
