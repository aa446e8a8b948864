"""The page of boundary losses names every one of them, and its pictures are those that the script draws."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lossodyssey as lo

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "boundary_losses.md").read_text(encoding="utf-8")
BOUNDARY = sorted(card.name for card in lo.atlas() if card.category == "boundary" and not card.preset)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("matplotlib", reason="the pictures need matplotlib")
    monkeypatch.syspath_prepend(str(DOCS))
    import draw_boundary

    yield draw_boundary
    sys.modules.pop("draw_boundary")


@pytest.mark.parametrize("name", BOUNDARY)
def test_the_page_names_every_boundary_loss(name: str) -> None:
    assert f"| [{name}](losses/{name}.md) |" in PAGE, "run python docs/draw_boundary.py"


def test_the_table_is_the_one_that_the_script_writes(script: Any) -> None:
    written = PAGE.split(script.START)[1].split(script.END)[0].strip()
    # The numbers have three digits, whose last may differ between versions of PyTorch.
    names, found = ([line.split(" | ")[:4] for line in text.splitlines()] for text in (written, script.table()))
    assert names == found, "run python docs/draw_boundary.py"


def test_every_picture_is_there_and_small() -> None:
    pictures = re.findall(r"\]\((boundary/[^)]*)\)", PAGE)
    assert len(pictures) == len(set(pictures)) == 7
    assert {f"boundary/{path.name}" for path in (DOCS / "boundary").iterdir()} == set(pictures)
    assert all((DOCS / picture).stat().st_size < 100_000 for picture in pictures)


def test_pictures_are_the_same_when_drawn_again(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "HERE", tmp_path)
    monkeypatch.setattr(script, "losses", lambda: ["Boundary", "ContourDice"])
    (tmp_path / "boundary").mkdir()
    scene = script.scenes()[0]
    drawn = []
    for _ in range(2):
        script.draw_values(scene)
        script.draw_pulls(scene)
        drawn.append([path.read_bytes() for path in sorted((tmp_path / "boundary").iterdir())])
    assert drawn[0] == drawn[1] and len(drawn[0]) == 2
