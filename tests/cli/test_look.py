"""`lossodyssey look` writes what the file's name asks for, says where, and refuses options without effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Call


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.html", b"<!doctype html>")]
)
def test_the_name_of_the_file_is_its_format(call: Call, tmp_path: Path, name: str, start: bytes) -> None:
    code, output, errors = call("look", "Dice() + Boundary()", "CE()", "-o", tmp_path / name)
    assert (code, errors, output.split()) == (0, "", [str(tmp_path / name)])
    content = (tmp_path / name).read_bytes()
    assert content.startswith(start)
    assert name == "a.png" or b"CrossEntropy()" in content


def test_a_file_without_a_name_is_said(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, _ = call("look", "NonAdjacency()")
    assert code == 0 and output.splitlines()[-1] == "look-nonadjacency.png"
    assert "pulls at nothing in: shifted disc" in output
    assert [path.name for path in tmp_path.iterdir()] == ["look-nonadjacency.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("Dise()",), "unknown loss 'Dise', did you mean 'Dice'?"),
        ((), "expected a loss, such as"),
        (("Dice()", "-o", "a.gif"), "--output is 'a.gif'; expected a file that ends in .png, .svg, .html"),
        (("Dice()", "--progress", "1"), "--progress has no effect: none of the losses has a schedule"),
        (("Dice()", "--points", "5"), "--points is an option of --landscape"),
        (("Dice()", "--landscape", "nowhere"), "nowhere/run.json: no such file"),
        (("DiceBoundary()", "--landscape", "nowhere", "--progress", "1"), "--progress has no effect on a landscape"),
    ],
)
def test_mistakes_are_one_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = call("look", *words)
    assert code == 2 and errors.startswith("error: ") and message in errors
    assert not list(tmp_path.iterdir())
