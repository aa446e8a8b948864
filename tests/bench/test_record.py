"""`run.json` says what it is read as."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lossodyssey.bench.record import Record, read_record, write_record
from lossodyssey.training.settings import Settings

RECORD = Record(
    expression="Dice()",
    dataset="phantom",
    seed=1,
    held_out=2,
    digest="0123abcd",
    engine="light",
    settings=asdict(Settings(patch=(16, 16))),
    classes=("background", "liver"),
    channels=("CT",),
    device="cpu",
    versions={"torch": "2"},
    backend="compiled, OpenMP",
    status="diverged",
    reason="the loss is nan at step 3",
)


def test_a_record_comes_back_equal(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"run\.json: no such file"):
        read_record(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 3}', '{"settings": {"step": 3}}'])
def test_a_broken_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json: not the record of a run"):
        read_record(tmp_path)


def test_an_unknown_status_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    fields = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(fields | {"status": "done"}))
    with pytest.raises(ValueError, match="status is 'done'"):
        read_record(tmp_path)
