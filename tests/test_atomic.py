"""A file is published whole, however many write it at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from lossodyssey.atomic import write_text, writing

WRITERS = 6


@pytest.mark.parametrize("name", ["cases.csv", "case 1.nii.gz"])
def test_a_writer_that_is_not_done_publishes_nothing_through_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in two containers
    path = tmp_path / name
    with writing(path) as slow:
        slow.write_text("whole")
        with writing(path) as quick, quick.open("w") as file:
            file.write("quick")
            assert slow.read_text() == "whole" and slow.name.endswith(f".{name}") and quick.name.endswith(f".{name}")
        assert path.read_text() == "quick"
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("length", [1, 1 << 20])
def test_threads_that_write_one_file_leave_one_of_their_texts(length: int, tmp_path: Path) -> None:
    together = Barrier(WRITERS, timeout=10)

    def write(writer: int) -> None:
        for _ in range(5):
            together.wait()
            write_text(tmp_path / "run.json", str(writer) * length)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    text = (tmp_path / "run.json").read_text()
    assert text in [str(writer) * length for writer in range(WRITERS)]
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), writing(tmp_path / "a.txt") as draft:
        draft.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
